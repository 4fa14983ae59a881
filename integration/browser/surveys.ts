import mdh, { MyDataHelps } from "@careevolution/mydatahelps-js";
import { Refused } from "./snippet";

// A second SDK, for surveys alone: they are pages of the platform, which need a real token. Everything else keeps to the proxy.
export async function startSurvey(name: string): Promise<void> {
  const answer = await fetch("/mdh-survey-token", { method: "POST", redirect: "manual" }).catch(() => null);
  if (!answer?.ok) throw await Refused.by(answer);
  const token = await answer.json();
  const surveys = new MyDataHelps();
  surveys.setParticipantAccessToken(token, token.base_url);
  surveys.on("surveyDidFinish", (event) => mdh.triggerEvent({ ...event, type: "surveyDidFinish" }));
  surveys.startSurvey(name);
}

// Has components start their surveys so. What is refused, the page's own watch tells.
mdh.startSurvey = (name) => { startSurvey(name).catch(console.warn); };
