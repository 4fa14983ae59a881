import mdh from "@careevolution/mydatahelps-js";

// Lets the SDK act as whoever is signed in here. Call it once; it renews by itself. 401 or redirected: sign in first.
export async function authorize(tries = 6): Promise<void> {
  const answer = await fetch("/mdh-token", { method: "POST", redirect: "manual" }).catch(() => null);
  if (tries > 1 && (!answer || answer.status === 429 || answer.status === 503)) { // offline or busy: try again later
    const seconds = Number(answer?.headers.get("Retry-After")) || 5;
    await new Promise((later) => setTimeout(later, seconds * 1000));
    return authorize(tries - 1);
  }
  if (!answer?.ok) throw new Error(`no token: ${answer ? answer.status || "redirected" : "offline"}`);
  const token = await answer.json();
  mdh.setParticipantAccessToken(token, token.base_url);
}

mdh.on("tokenWillExpire", function renew() {
  authorize().catch((error: Error) => {
    if (/401|redirected/.test(error.message)) location.reload(); // to sign in again
    else setTimeout(renew, 60_000); // away for long: the page lives on
  });
});
