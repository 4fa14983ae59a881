import mdh from "@careevolution/mydatahelps-js";

// Why somebody may not act at the platform: the answer's status (0: there was none) and its code.
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfter: number; // seconds

  constructor(status: number, code: string, retryAfter: number) {
    super(`refused: ${status} ${code}`);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  get temporary(): boolean { return [0, 429, 503].includes(this.status); } // offline, or busy

  static async by(answer: Response | null): Promise<Refused> {
    const status = answer?.type === "opaqueredirect" ? 401 : answer?.status ?? 0; // led to a login page
    const problem = await answer?.json().catch(() => null);
    return new Refused(status, problem?.code ?? (status === 401 ? "session_required" : ""), Number(answer?.headers.get("Retry-After")) || 5);
  }
}

// Lets the SDK act as whoever is signed in here. Await it before anything of the SDK's is used. It renews by itself.
export async function authorize(tries = 4): Promise<void> {
  const answer = await fetch("/mdh-token", { method: "POST", redirect: "manual" }).catch(() => null);
  if (answer?.ok) {
    const token = await answer.json();
    mdh.setParticipantAccessToken(token, token.base_url);
    return;
  }
  const refused = await Refused.by(answer);
  if (!refused.temporary || tries <= 1 || refused.retryAfter > 60) throw refused;
  await new Promise((later) => setTimeout(later, refused.retryAfter * 1000));
  return authorize(tries - 1);
}

mdh.on("tokenWillExpire", function renew() {
  authorize().catch((refused: Refused) => {
    if (refused.temporary) setTimeout(renew, 60_000); // away for long: the page lives on
    else location.reload(); // to sign in again
  });
});
