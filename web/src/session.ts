// The person token, which this tab keeps (sessionStorage), and what the page knows of its own standing.
import { Cell } from "./cell";

const KEY = "aileron.token";
const KEY_ID = "aileron.token.id";

export interface PersonToken {
  token: string;
  /** its number at the daemon, which is no secret: what a proof is asked for by */
  id: number;
}

export type Phase = "entering" | "in" | "out";

export interface SessionState {
  phase: Phase;
  /** why there is no session, for people; "" when nobody has signed in yet */
  why: string;
}

export const session = new Cell<SessionState>({ phase: "entering", why: "" });

/** Whether the daemon answered the last time that it was asked. */
export const reachable = new Cell(true);

export function personToken(): PersonToken | null {
  const token = sessionStorage.getItem(KEY);
  const id = sessionStorage.getItem(KEY_ID);
  return token === null || id === null ? null : { token, id: Number(id) };
}

export function keep(value: PersonToken): void {
  sessionStorage.setItem(KEY, value.token);
  sessionStorage.setItem(KEY_ID, String(value.id));
}

export function signedIn(): void {
  session.set({ phase: "in", why: "" });
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(KEY_ID);
}

export function signedOut(why: string): void {
  forget();
  if (session.value.phase !== "out") session.set({ phase: "out", why });
}
