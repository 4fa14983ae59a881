import { useEffect, useState, type ReactNode } from "react";
import { authorize, Refused } from "./snippet";

const reasons: Record<string, string> = {
  session_required: "Please sign in.",
  participant_unknown: "You do not take part in this study yet.",
  participant_withdrawn: "You have left this study.",
};

function reason({ status, code, retryAfter }: Refused): string {
  if (reasons[code]) return reasons[code];
  if (status === 429) return `That was too much at once. Please try again in ${Math.ceil(retryAfter / 60)} min.`;
  if (status === 0 || status === 503) return "Your data cannot be reached just now. Please try again later.";
  return "Something is wrong on our side. We have been told.";
}

// Shows its children as soon as the SDK may act as the user: what is mounted earlier waits for ever, and without a word.
export function Authorized({ children }: { children: ReactNode }) {
  const [ready, setReady] = useState(false);
  const [refused, setRefused] = useState<Refused>();

  useEffect(() => {
    let mounted = true;
    const stop = watchRefusals((r) => mounted && setRefused(r));
    authorize().then(() => mounted && (setReady(true), setRefused(undefined)), (r) => mounted && setRefused(r));
    return () => { mounted = false; stop(); };
  }, []);

  return <>
    {refused && <p role="alert">{reason(refused)} {refused.status === 401 && <a href="/login">Sign in</a>}</p>}
    {ready ? children : !refused && <p role="status">Loading…</p>}
  </>;
}

// Tells what is refused of the SDK's calls and of surveys, of which components say nothing. What is returned ends it.
export function watchRefusals(tell: (refused: Refused) => void): () => void {
  const { fetch } = window;
  window.fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if ([401, 403, 429, 503].includes(answer.status) && /\/api\/|\/mdh-survey-token$/.test(answer.url)) tell(await Refused.by(answer.clone()));
    return answer;
  };
  return () => { window.fetch = fetch; };
}
