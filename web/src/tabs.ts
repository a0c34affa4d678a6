// How a tab gets its token: for the code of `aileron open`, or from another tab of this page.
import { assured, doubt } from "./proof";
import { forget, keep, personToken, session, signedIn, signedOut, type PersonToken } from "./session";

const LENT_MS = 500;

const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("aileron.tabs");

/** Other tabs of this page, which have the same token, are told that it is good no more. */
export function tellSignedOut(): void {
  tabs?.postMessage({ ended: personToken()?.id });
}

/**
 * Whatever was served at this address may ask. A proof from now says that since our sign-in that was the daemon alone; without
 * one there is no answer.
 */
async function lend(): Promise<void> {
  doubt();
  await assured();
  const mine = personToken();
  if (mine !== null) tabs?.postMessage({ lent: mine });
}

function answerTabs(): void {
  tabs?.addEventListener("message", ({ data }) => {
    if (data?.wanted === true && session.value.phase === "in") void lend().catch(() => {});
    if (typeof data?.ended === "number" && data.ended === personToken()?.id) signedOut("You have signed out in another tab.");
  });
}

/** A link opened in a new tab: another tab of this page may have a token. */
function borrow(): Promise<PersonToken | null> {
  if (tabs === null) return Promise.resolve(null);
  return new Promise((resolve) => {
    const done = (value: PersonToken | null) => {
      tabs.removeEventListener("message", heard);
      clearTimeout(timer);
      resolve(value);
    };
    const heard = ({ data }: MessageEvent) => {
      const { token, id } = data?.lent ?? {};
      if (typeof token === "string" && typeof id === "number") done({ token, id });
    };
    const timer = setTimeout(() => done(null), LENT_MS);
    tabs.addEventListener("message", heard);
    tabs.postMessage({ wanted: true });
  });
}

const codeInAddress = (): string | null => new URLSearchParams(location.hash.slice(1)).get("code");

/** Takes the code out of the address bar and the history, then exchanges it; or goes on with a token that is there. */
export async function enter(exchange: (code: string) => Promise<PersonToken>): Promise<void> {
  const code = codeInAddress();
  answerTabs();
  // In a tab that is here already a code changes the fragment alone.
  addEventListener("hashchange", () => codeInAddress() !== null && location.reload());
  if (code !== null) {
    history.replaceState(null, "", location.pathname + location.search);
    forget();
    try {
      keep(await exchange(code));
    } catch (error) {
      signedOut("The code in the address was not accepted: " + (error as Error).message + ".");
      return;
    }
  } else {
    const there = personToken() ?? (await borrow());
    if (there === null) return signedOut("");
    keep(there);
  }
  doubt();
  await assured().catch(() => {});
  // A daemon that does not answer yet is waited for; who is not the daemon has ended the sign-in.
  if (personToken() !== null) signedIn();
}
