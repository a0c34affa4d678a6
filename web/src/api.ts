// Questions to the daemon, and streams of its events. Both carry the token in a header, so streams are read by fetch; and it is
// sent to who has proven to be the daemon alone.
import { ApiError } from "./error";
import { assured, doubt } from "./proof";
import { personToken, reachable, session, signedOut } from "./session";

export { ApiError };

const REVISION = "2";
const SILENCE_MS = 75_000; // the daemon says something every 30 s
const RETRY_MS = [500, 1000, 2000, 5000];

export type Query = { [name: string]: string | number | boolean | undefined };

export function withQuery(path: string, query: Query): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") parts.set(name, String(value));
  const text = parts.toString();
  return text === "" ? path : path + "?" + text;
}

/** A name as one segment of a path, slashes and all. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}

async function request(method: string, path: string, body: unknown, more: RequestInit): Promise<Response> {
  const headers: Record<string, string> = { "X-Aileron-Api": REVISION };
  if (personToken() !== null) await assured();
  const mine = personToken()?.token ?? null;
  if (mine !== null) headers["Authorization"] = "Bearer " + mine;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      ...more,
    });
  } catch (error) {
    doubt();
    if (more.signal?.aborted !== true) reachable.set(false);
    throw new ApiError(0, "unreachable", "the daemon does not answer");
  }
  reachable.set(true);
  if (answer.status >= 500) doubt();
  if (!answer.ok) throw await failureOf(answer, mine);
  return answer;
}

async function failureOf(answer: Response, sent: string | null): Promise<ApiError> {
  const value = await answer.json().catch(() => ({}));
  const error = value.error ?? {};
  const code = String(error.code ?? error.class ?? "http_" + answer.status);
  if (answer.status === 401 && code === "unauthorized" && sent !== null && sent === personToken()?.token)
    signedOut("This page's sign-in is over: it ended after 12 hours, or was revoked.");
  return new ApiError(answer.status, code, String(error.message ?? "the daemon answered " + answer.status), error.details ?? {});
}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await request(method, path, body, {});
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}

export const get = <T>(path: string, query: Query = {}): Promise<T> => ask<T>("GET", withQuery(path, query));

// ---------------------------------------------------------------------------------------------------------- streams

export interface StreamEvent {
  event: string;
  data: string;
}

/** Cuts a text/event-stream into its events. Feed pieces in order; comments and ids are dropped. */
export class EventCutter {
  #rest = "";
  #event = "";
  #data: string[] = [];

  feed(piece: string): StreamEvent[] {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    const events: StreamEvent[] = [];
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line !== "") {
        this.#field(line);
        continue;
      }
      if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
      this.#event = "";
      this.#data = [];
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#event = value;
    if (name === "data") this.#data.push(value);
  }
}

async function readStream(path: string, quit: AbortController, heard: (event: StreamEvent) => void): Promise<void> {
  let silence: ReturnType<typeof setTimeout> | undefined;
  const attentive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => quit.abort(), SILENCE_MS);
  };
  try {
    attentive();
    doubt(); // another tab had the stream, and it may have ended because the daemon has
    const answer = await request("GET", path, undefined, { signal: quit.signal });
    const cutter = new EventCutter();
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      attentive();
      for (const event of cutter.feed(value)) heard(event);
    }
  } finally {
    clearTimeout(silence);
    quit.abort();
    doubt();
  }
}

/** One tab of this browser at a time; a lock carries nothing, so whoever else has it learns and tells nothing. */
function alone(signal: AbortSignal, does: () => Promise<void>): Promise<void> {
  return navigator.locks === undefined ? does() : navigator.locks.request("aileron.stream", { signal }, does);
}

/**
 * Listens until the answer is called, beginning anew whenever the stream ends. A browser opens six connections to one
 * server for all its tabs together: one tab has a stream, and none that nobody looks at.
 */
export function listen(path: string, heard: (event: StreamEvent) => void, live: (is: boolean) => void): () => void {
  let ended = false;
  let failures = 0;
  let quit = new AbortController();
  let wake = () => {};
  const shown = () => {
    if (document.hidden) quit.abort();
    else wake();
  };
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      wake = resolve;
      if (!document.hidden) setTimeout(resolve, ms);
    });
  const first = (event: StreamEvent) => {
    failures = 0;
    live(true);
    heard(event);
  };
  const run = async () => {
    while (!ended && session.value.phase === "in") {
      if (!document.hidden) {
        quit = new AbortController();
        await alone(quit.signal, () => readStream(path, quit, first)).catch(() => {});
        if (!ended) live(false);
        if (!ended && !document.hidden) await assured().catch(() => {});
      }
      if (!ended) await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!);
    }
  };
  document.addEventListener("visibilitychange", shown);
  void run();
  return () => {
    ended = true;
    document.removeEventListener("visibilitychange", shown);
    quit.abort();
    wake();
  };
}
