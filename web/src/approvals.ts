// What waits for a decision, live. A card that was decided stays where it is until the person leaves the view, with what
// came of it, so that nothing moves below a finger.
import { ApiError, ask, get, listen, segment, type StreamEvent } from "./api";
import { sha256, toHex, utf8 } from "./bytes";
import { Cell } from "./cell";
import { FIELD, askSealed } from "./sealing";
import { canonical, jcs } from "./canonical";
import type { ApprovalResult, JsonObject, Pending, Resolved } from "./types";

export interface Outcome {
  /** by this tab; false: somebody else, elsewhere */
  mine: boolean;
  /** undefined: nobody decided, or it is not known */
  approved: boolean | undefined;
  reason?: string;
  result?: ApprovalResult;
}

export interface Entry {
  pending: Pending;
  outcome?: Outcome;
}

export interface Approvals {
  entries: Entry[];
  live: boolean;
  /** how many were approved and wait for the vault to be unlocked */
  awaitingVault: number;
  /** a first snapshot has come */
  known: boolean;
}

export const approvals = new Cell<Approvals>({ entries: [], live: false, awaitingVault: 0, known: false });

interface PendingList {
  items: Pending[];
  awaiting_vault?: number;
}

const base = "/v1/action-approvals";
const WITHOUT_MS = 3000; // between two looks of a tab without a stream
const BACKGROUND_MS = 20_000;
const OVER = new Set(["completed", "failed", "denied", "expired", "refused", "cancelled", "outcome_unknown"]);
const UNDECIDED = new Set(["expired", "refused", "cancelled"]);
const deciding = new Set<string>();

export function waiting(state: Approvals): Entry[] {
  return state.entries.filter((entry) => entry.outcome === undefined);
}

function change(id: string, how: (entry: Entry) => Entry): void {
  const now = approvals.value;
  approvals.set({ ...now, entries: now.entries.map((entry) => (entry.pending.id === id ? how(entry) : entry)) });
}

function byAge(a: Entry, b: Entry): number {
  return a.pending.requested_at < b.pending.requested_at ? -1 : a.pending.requested_at > b.pending.requested_at ? 1 : 0;
}

function isCertain(outcome: Outcome): boolean {
  return outcome.mine || outcome.approved !== undefined || outcome.reason !== undefined;
}

/** What is new goes behind what is there; what is gone from the list was decided elsewhere. */
function take({ items, awaiting_vault: awaitingVault = 0 }: PendingList, live: boolean): void {
  const old = approvals.value.entries;
  const there = new Map(items.map((item) => [item.id, item]));
  const kept = old.map((entry) => {
    const item = there.get(entry.pending.id);
    // One that was decided never waits again; that it was gone from a list was a guess.
    if (item !== undefined) return entry.outcome && isCertain(entry.outcome) ? entry : { pending: item };
    return entry.outcome === undefined && !deciding.has(entry.pending.id) ? { ...entry, outcome: { mine: false, approved: undefined } } : entry;
  });
  const known = new Set(old.map((entry) => entry.pending.id));
  const fresh = items.filter((item) => !known.has(item.id)).map((pending) => ({ pending }));
  approvals.set({ entries: [...kept, ...fresh.sort(byAge)], live, awaitingVault, known: true });
  for (const entry of kept) if (entry.outcome && !entry.outcome.result) void follow(entry.pending.id);
}

function heard({ event, data }: StreamEvent): void {
  const said = JSON.parse(data);
  if (event === "snapshot") take(said as PendingList, true);
  if (event === "pending") {
    const pending = said as Pending;
    const now = approvals.value;
    const there = now.entries.some((entry) => entry.pending.id === pending.id);
    if (there) change(pending.id, (entry) => ({ ...entry, pending }));
    else approvals.set({ ...now, entries: [...now.entries, { pending }] });
  }
  if (event === "resolved") {
    const resolved = said as Resolved;
    if (deciding.has(resolved.id)) return;
    change(resolved.id, (entry) => {
      if (entry.outcome) return entry;
      const decided = resolved.state === undefined || !UNDECIDED.has(resolved.state);
      const outcome: Outcome = { mine: false, approved: decided ? resolved.approved : undefined };
      if (resolved.reason) outcome.reason = resolved.reason;
      return { ...entry, outcome };
    });
    void follow(resolved.id);
  }
}

/** While there is no stream (another tab has it, too many watch, the daemon starts anew), the list is asked for. */
async function poll(): Promise<void> {
  const list = await get<PendingList>(base).catch(() => undefined);
  if (list !== undefined && !approvals.value.live) take(list, false);
}

/** A tab in the background has no stream, and counts all the same. */
export function startApprovals(): () => void {
  const timers = [
    setInterval(() => !document.hidden && !approvals.value.live && void poll(), WITHOUT_MS),
    setInterval(() => document.hidden && void poll(), BACKGROUND_MS),
  ];
  const end = listen(base + "/watch", heard, (live) => {
    if (approvals.value.live !== live) approvals.set({ ...approvals.value, live });
    if (!live) void poll();
  });
  return () => {
    timers.forEach(clearInterval);
    end();
  };
}

/** What waited for the vault goes on once that is unlocked. */
export function vaultUnlocked(): void {
  approvals.set({ ...approvals.value, awaitingVault: 0 });
}

/** When the view is entered anew, what is over is not shown again. */
export function dropDecided(): void {
  const now = approvals.value;
  approvals.set({ ...now, entries: waiting(now) });
}

/** For what is asked about but does not wait: how it stands. */
export const result = (id: string): Promise<ApprovalResult> => get<ApprovalResult>(`${base}/${segment(id)}/result`);

const following = new Set<string>();

/** Asks what came of it until that is known. */
async function follow(id: string): Promise<void> {
  if (following.has(id)) return;
  following.add(id);
  for (let turn = 0; turn < 900; turn++) {
    const entry = approvals.value.entries.find((one) => one.pending.id === id);
    if (entry?.outcome === undefined) break;
    const now = await result(id).catch((error: unknown) => (error instanceof ApiError && error.status === 404 ? null : undefined));
    if (now === null) break;
    if (now !== undefined) {
      change(id, (one) => (one.outcome ? { ...one, outcome: { ...one.outcome, result: now } } : one));
      if (OVER.has(now.status)) break;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(250 * (turn + 1), 2000)));
  }
  following.delete(id);
}

export interface Decision {
  approved: boolean;
  reason?: string;
  edited_payload?: JsonObject;
  grant?: boolean;
}

/** What the person saw is what is confirmed: the approval's digest, and with edited arguments these. */
async function confirmation(pending: Pending, decision: Decision, passphrase: string): Promise<void> {
  const about: JsonObject = { approved: decision.approved, digest: pending.digest ?? "", grant: decision.grant === true };
  if (decision.edited_payload) about["edited"] = toHex(await sha256(utf8(jcs(decision.edited_payload))));
  const fields: [number, string][] = [[FIELD.passphrase, passphrase]];
  const sealing = { operation: "approval.decide", path: pending.id, metadata: canonical(about), fields };
  await askSealed<void>("POST", `${base}/${segment(pending.id)}/decide`, sealing, (sealed) => ({ ...decision, sealed }));
}

/** Throws when it was not decided here; one who came too late finds that on the card. */
export async function decide(pending: Pending, decision: Decision, passphrase: string | undefined): Promise<void> {
  deciding.add(pending.id);
  try {
    if (passphrase !== undefined) await confirmation(pending, decision, passphrase);
    else await ask<void>("POST", `${base}/${segment(pending.id)}/decide`, decision);
    const outcome: Outcome = { mine: true, approved: decision.approved };
    if (decision.reason) outcome.reason = decision.reason;
    change(pending.id, (entry) => ({ ...entry, outcome }));
  } catch (error) {
    const over = error instanceof ApiError && ["already_decided", "approval_stale", "not_found"].includes(error.code);
    if (!over) throw error;
    change(pending.id, (entry) => ({ ...entry, outcome: { mine: false, approved: undefined, reason: error.message } }));
  } finally {
    deciding.delete(pending.id);
  }
  void follow(pending.id);
}
