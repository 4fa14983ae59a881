import mdh from "@careevolution/mydatahelps-js";

// Lets the SDK act as whoever is signed in here. Call it once; it renews by itself. 401: sign in first.
export async function authorize(): Promise<void> {
  const answer = await fetch("/mdh-token", { method: "POST" }).catch(() => null);
  if (!answer || answer.status === 429 || answer.status === 503) { // offline or busy: try again later
    const seconds = Number(answer?.headers.get("Retry-After")) || 5;
    await new Promise((later) => setTimeout(later, seconds * 1000));
    return authorize();
  }
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  const token = await answer.json();
  mdh.setParticipantAccessToken(token, token.base_url);
}

mdh.on("tokenWillExpire", () => { authorize().catch(() => location.reload()); });
