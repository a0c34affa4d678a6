import { useEffect } from "preact/hooks";
import { get, ask, segment } from "../api";
import { approvals, dropDecided, result, vaultUnlocked, waiting, type Entry } from "../approvals";
import { Cell, useCell } from "../cell";
import { place } from "../route";
import { reachable } from "../session";
import { Members, Text, Time } from "../text";
import type { Grant } from "../types";
import { Badge, Confirmed, Fact, Facts, Note, View, announce, useLoaded } from "../ui";
import { VaultNeeded, loadVault } from "../vault_state";
import { ApprovalCard } from "./approval_card";

function cardOf(id: string): HTMLElement | null {
  return document.getElementById("card-" + id);
}

/** Keys are for who is not typing. */
function isTyping(target: EventTarget | null): boolean {
  const at = target as HTMLElement | null;
  return at !== null && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable || at.closest("dialog") !== null);
}

/** Which card is chosen; a cell, so that a key that follows at once finds what the one before it chose. */
const chosen = new Cell<string | undefined>(undefined);

function move(entries: Entry[], step: number): void {
  const at = entries.findIndex((entry) => entry.pending.id === chosen.value);
  const next = entries[Math.min(entries.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  if (next === undefined) return;
  chosen.set(next.pending.id);
  cardOf(next.pending.id)?.focus();
}

function prepare(entry: Entry, approve: boolean): void {
  cardOf(entry.pending.id)
    ?.querySelector<HTMLElement>(approve ? ".approve" : ".reason")
    ?.focus();
  announce(`Press Enter to ${approve ? "approve" : "deny"} ${entry.pending.action_name}.`);
}

/** j and k choose; a goes to the button that approves, d to the reason of a denial: Enter there does it. */
function pressed(event: KeyboardEvent): void {
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const { entries } = approvals.value;
  const entry = entries.find((one) => one.pending.id === chosen.value);
  if (event.key === "j" || event.key === "k") move(entries, event.key === "j" ? 1 : -1);
  else if ((event.key === "a" || event.key === "d") && entry !== undefined && entry.outcome === undefined) prepare(entry, event.key === "a");
  else return;
  event.preventDefault();
}

function Focused({ id, there, known }: { id: string; there: boolean; known: boolean }) {
  const stands = useLoaded(async () => (known && !there ? await result(id).catch(() => null) : undefined), [id, there, known]);
  useEffect(() => {
    if (there) cardOf(id)?.scrollIntoView({ block: "start" });
  }, [id, there]);
  if (!known || there) return null;
  return (
    <Note kind="warn">
      <p role="status">
        <Text of={id} code /> is no longer pending
        {stands.value ? (
          <>
            : it is <Badge><Text of={stands.value.status.replaceAll("_", " ")} /></Badge>
          </>
        ) : (
          "."
        )}
      </p>
    </Note>
  );
}

function Grants() {
  const decided = useCell(approvals).entries.length - waiting(approvals.value).length;
  const grants = useLoaded(() => get<{ items: Grant[] }>("/v1/grants"), [decided]);
  const items = grants.value?.items ?? [];
  if (grants.error !== undefined || items.length === 0) return null;
  return (
    <section>
      <h2>What runs without asking now</h2>
      {items.map((grant) => (
        <article class="card" key={grant.id}>
          <Facts>
            <Fact name="Action">
              <Text of={grant.action} code />
            </Fact>
            <Fact name="Asked by">
              <Text of={grant.caller} code />
            </Fact>
            <Fact name="Session">{grant.session ? <Text of={grant.session} code /> : "–"}</Fact>
            <Fact name="Ends">
              <Time at={grant.expires_at} />
            </Fact>
          </Facts>
          <details>
            <summary>What it is bound to</summary>
            <Members of={grant.bound} none="Nothing." />
          </details>
          <Confirmed
            label="Revoke"
            title="Revoke this grant"
            does={async () => {
              await ask("DELETE", "/v1/grants/" + segment(grant.id));
              await grants.reload();
            }}
          >
            <p>From then on every run asks again.</p>
          </Confirmed>
        </article>
      ))}
    </section>
  );
}

export function ApprovalsView() {
  const state = useCell(approvals);
  const focus = useCell(place).query.get("focus") ?? undefined;
  const selected = useCell(chosen);
  const up = useCell(reachable);
  const open = waiting(state).length;
  useEffect(() => {
    chosen.set(focus);
    document.addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("keydown", pressed);
      dropDecided();
    };
  }, []);
  const wantsVault = state.entries.some((entry) => entry.pending.vault_locked);
  useEffect(() => {
    void loadVault().catch(() => {});
  }, [state.live, wantsVault]);
  const there = state.entries.some((entry) => entry.pending.id === focus);
  return (
    <View title="Approvals">
      <p class="muted">
        {!state.known ? "Loading …" : open === 0 ? "Nothing waits for you." : open === 1 ? "One request waits for you." : `${open} requests wait for you.`}{" "}
        {state.live ? "This list is live." : !state.known ? "" : up ? "Not live: asked every few seconds." : "Not live: trying to reach the daemon."}{" "}
        <span class="keys">
          Keys: <kbd>j</kbd> next, <kbd>k</kbd> previous, <kbd>a</kbd> then <kbd>Enter</kbd> approves, <kbd>d</kbd> then <kbd>Enter</kbd> denies.
        </span>
      </p>
      {state.awaitingVault > 0 && (
        <VaultNeeded done={vaultUnlocked}>
          {state.awaitingVault === 1 ? "One approved run waits" : `${state.awaitingVault} approved runs wait`} for the vault to be unlocked, for 15 minutes at most:{" "}
          <a href="/runs?state=awaiting_vault">which</a>
        </VaultNeeded>
      )}
      {focus !== undefined && <Focused id={focus} there={there} known={state.known} />}
      {state.entries.map((entry) => (
        <ApprovalCard key={entry.pending.id} entry={entry} focused={entry.pending.id === focus} selected={entry.pending.id === selected} select={() => chosen.set(entry.pending.id)} />
      ))}
      <Grants />
    </View>
  );
}
