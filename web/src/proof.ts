// That whoever answers at this address is the daemon that gave out this page's token (docs/PAGE.md). A port outlives the daemon
// that had it, and anybody may take it then: the token is sent, and a secret sealed, after a proof alone.
//
// A token ends with the daemon, and a daemon has its port to the end: a good proof says that everything that was answered
// since the sign-in was the daemon's, too.
import { ApiError } from "./error";
import { fromHex, joined, sha256, toHex, utf8 } from "./bytes";
import { personToken, reachable, signedOut, type PersonToken } from "./session";

const NAME = utf8("aileron-person-proof-1");
const NONCE_BYTES = 32;
const FRESH_MS = 250;
const ANSWER_MS = 10_000;

const OVER =
  "This page's sign-in is over: it ended after 12 hours, was revoked, or the daemon was started anew. " +
  "If it was none of these, another program has taken the daemon's port: type nothing into what it shows.";

let last: { proof: Promise<void>; at: number } | undefined;

/** After anything that may mean that the daemon has gone: the next request proves anew. */
export function doubt(): void {
  last = undefined;
}

/** Throws when nobody answers. When somebody else does, the sign-in is over as well. */
export function assured(): Promise<void> {
  const at = performance.now();
  if (last === undefined || at - last.at > FRESH_MS) {
    const mine = { proof: prove(), at };
    last = mine;
    mine.proof.catch(() => {
      if (last === mine) doubt();
    });
  }
  return last.proof;
}

async function prove(): Promise<void> {
  const mine = personToken();
  if (mine === null) throw new ApiError(0, "signed_out", "this page is not signed in");
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const proof = await answerTo(mine, nonce);
  reachable.set(proof !== undefined);
  if (proof === undefined) throw new ApiError(0, "unreachable", "the daemon does not answer");
  const key = await crypto.subtle.importKey("raw", await sha256(utf8(mine.token)), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  // Our own address, not one that is told: who passes the question on to the daemon gets an answer for another one.
  const message = joined(NAME, nonce, utf8(location.host));
  if (await crypto.subtle.verify("HMAC", key, fromHex(proof), message)) return;
  if (personToken()?.token === mine.token) signedOut(OVER);
  throw new ApiError(0, "not_the_daemon", "who answers is not the daemon that this page was signed in to");
}

async function answerTo({ id }: PersonToken, nonce: Uint8Array): Promise<string | undefined> {
  try {
    const answer = await fetch("/v1/person/proof", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id, nonce: toHex(nonce) }),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return answer.ok ? String((await answer.json()).proof) : undefined;
  } catch {
    return undefined;
  }
}
