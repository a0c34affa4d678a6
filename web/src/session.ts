// The person token: got for the code of `aileron open`, kept in this tab (sessionStorage) and given to other tabs of this
// page that ask for it. It never leaves the browser but in the Authorization header of requests to the daemon.
import { Cell } from "./cell";

const KEY = "aileron.token";
const LENT_MS = 250;

export type Phase = "entering" | "in" | "out";

export interface SessionState {
  phase: Phase;
  /** why there is no session, for people; "" when nobody has signed in yet */
  why: string;
}

export const session = new Cell<SessionState>({ phase: "entering", why: "" });

/** Whether the daemon answered the last time that it was asked. */
export const reachable = new Cell(true);

const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("aileron.tabs");

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

function keep(value: string): void {
  sessionStorage.setItem(KEY, value);
  session.set({ phase: "in", why: "" });
}

export function signedOut(why: string): void {
  sessionStorage.removeItem(KEY);
  if (session.value.phase !== "out") session.set({ phase: "out", why });
}

/** Other tabs of this page, which have the same token, are told that it is good no more. */
export function tellSignedOut(): void {
  tabs?.postMessage({ ended: token() });
}

function answerTabs(): void {
  if (tabs === null) return;
  tabs.addEventListener("message", ({ data }) => {
    const mine = token();
    if (data?.wanted === true && mine !== null) tabs.postMessage({ lent: mine });
    if (typeof data?.ended === "string" && data.ended === mine) signedOut("You have signed out in another tab.");
  });
}

/** A link opened in a new tab: another tab of this page may have a token. */
function borrow(): Promise<string | null> {
  if (tabs === null) return Promise.resolve(null);
  return new Promise((resolve) => {
    const done = (value: string | null) => {
      tabs.removeEventListener("message", heard);
      clearTimeout(timer);
      resolve(value);
    };
    const heard = ({ data }: MessageEvent) => {
      if (typeof data?.lent === "string") done(data.lent);
    };
    const timer = setTimeout(() => done(null), LENT_MS);
    tabs.addEventListener("message", heard);
    tabs.postMessage({ wanted: true });
  });
}

/** Takes the code out of the address bar and the history, then exchanges it; or goes on with a token that is there. */
export async function enter(exchange: (code: string) => Promise<string>): Promise<void> {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const code = fragment.get("code");
  answerTabs();
  if (code !== null) {
    history.replaceState(null, "", location.pathname + location.search);
    sessionStorage.removeItem(KEY);
    try {
      keep(await exchange(code));
    } catch (error) {
      signedOut("The code in the address was not accepted: " + (error as Error).message + ".");
    }
    return;
  }
  const there = token() ?? (await borrow());
  if (there !== null) keep(there);
  else signedOut("");
}
