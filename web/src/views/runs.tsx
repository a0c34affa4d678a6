import { useEffect, useRef, useState } from "preact/hooks";
import { ask, get, segment } from "../api";
import { useCell } from "../cell";
import { go, place } from "../route";
import { Hash, Members, Text, Time, Value } from "../text";
import type { Run } from "../types";
import { Badge, Confirmed, Fact, Facts, Input, Loading, Note, Table, View, useLoaded } from "../ui";
import { VaultNeeded } from "../vault_state";
import { effectText } from "./approval_card";

const PAGE = 50;
const FOLLOW_MS = 2000;
const STATES = ["pending_approval", "awaiting_vault", "queued", "running", "completed", "failed", "denied", "expired", "refused", "cancelled", "outcome_unknown"];
const OPEN = new Set(["pending_approval", "awaiting_vault", "queued", "running"]);

export function StateBadge({ state }: { state: string }) {
  const kind = state === "completed" ? "good" : ["failed", "refused", "outcome_unknown"].includes(state) ? "bad" : OPEN.has(state) ? "warn" : undefined;
  return <Badge {...(kind ? { kind } : {})}><Text of={state.replaceAll("_", " ")} /></Badge>;
}

function Detail({ id }: { id: string }) {
  const run = useLoaded(() => get<Run>("/v1/runs/" + segment(id)), [id]);
  const one = run.value;
  const state = one?.state;
  useEffect(() => {
    if (state === undefined || !OPEN.has(state)) return;
    const timer = setInterval(() => void run.reload(), FOLLOW_MS);
    return () => clearInterval(timer);
  }, [state]);
  return (
    <View title="Run" actions={<a href="/runs">All runs</a>}>
      <Loading of={run} />
      {one && (
        <>
          <Facts>
            <Fact name="State">
              <StateBadge state={one.state} /> {one.edited && <Badge kind="warn">arguments edited by the person</Badge>}
            </Fact>
            <Fact name="Action">
              <Text of={one.action} code /> <Text of={one.action_version} /> <Hash of={one.action_hash} />
            </Fact>
            <Fact name="Asked by">
              <Text of={one.caller.name || one.caller.id} />
            </Fact>
            <Fact name="Session">{one.session ? <Text of={one.session} code /> : "–"}</Fact>
            <Fact name="Folder">{one.working_dir ? <Text of={one.working_dir} code /> : "–"}</Fact>
            <Fact name="Asked">
              <Time at={one.requested_at} />
            </Fact>
            {one.decided_at && (
              <Fact name="Decided">
                <Time at={one.decided_at} /> {one.decided_by && <>by <Text of={one.decided_by} /></>}
              </Fact>
            )}
            {one.claimed_at && (
              <Fact name="Began">
                <Time at={one.claimed_at} />
              </Fact>
            )}
            {one.ended_at && (
              <Fact name="Ended">
                <Time at={one.ended_at} />
              </Fact>
            )}
            {one.reason && (
              <Fact name="Reason">
                <Text of={one.reason} />
              </Fact>
            )}
            {one.approval_id && (
              <Fact name="Approval">
                {one.state === "pending_approval" ? <a href={"/approvals?focus=" + segment(one.approval_id)}><Text of={one.approval_id} code /></a> : <Text of={one.approval_id} code />}
              </Fact>
            )}
            {one.grant_id && (
              <Fact name="Grant">
                <Text of={one.grant_id} code />
              </Fact>
            )}
            {one.audit_id && (
              <Fact name="On record">
                <a href={"/audit?audit_id=" + segment(one.audit_id)}><Text of={one.audit_id} code /></a>
              </Fact>
            )}
          </Facts>
          {one.state === "outcome_unknown" && <Note kind="bad">It may have run, in whole or in part. It does not run again by itself: look at the service.</Note>}
          {one.state === "awaiting_vault" && (
            <VaultNeeded done={() => void run.reload()}>It was approved and runs when the vault is unlocked, within 15 minutes; it is refused after that.</VaultNeeded>
          )}
          {OPEN.has(one.state) && (
            <Confirmed
              label="Cancel this run"
              title="Cancel this run"
              does={async () => {
                await ask("POST", `/v1/runs/${segment(id)}/cancel`);
                await run.reload();
              }}
            >
              <p>What has not begun does not begin. What is under way stops between two steps.</p>
            </Confirmed>
          )}
          {one.error && (
            <Note kind="bad">
              <Text of={one.error.class} code /> <Text of={one.error.message} />
            </Note>
          )}
          <h2>Arguments</h2>
          <Members of={one.args} none="None." />
          {one.output !== undefined && (
            <>
              <h2>Output</h2>
              <div class="quoted">
                <Value of={one.output} />
              </div>
            </>
          )}
          {one.attempts && one.attempts.length > 0 && (
            <Table caption="Attempts" heads={["Step", "No.", "Operation", "Effect", "Credential", "Began", "Ended", "Came of it"]}>
              {one.attempts.map((attempt, i) => (
                <tr key={i}>
                  <td>
                    <Text of={attempt.step} />
                  </td>
                  <td>{attempt.attempt}</td>
                  <td>
                    <Text of={attempt.op} code /> of <Text of={attempt.connector} />
                  </td>
                  <td>{effectText(attempt.effect)}</td>
                  <td>
                    <Text of={attempt.binding ?? "none"} />
                  </td>
                  <td>
                    <Time at={attempt.started_at} />
                  </td>
                  <td>
                    <Time at={attempt.ended_at} />
                  </td>
                  <td>{attempt.class ? <Text of={attempt.class} code /> : attempt.ended_at ? "done" : "not known"}</td>
                </tr>
              ))}
            </Table>
          )}
        </>
      )}
    </View>
  );
}

function List({ query }: { query: URLSearchParams }) {
  const action = useRef<HTMLInputElement>(null);
  const state = query.get("state") ?? "";
  const before = query.get("before") ?? "";
  const wanted = query.get("action") ?? "";
  const runs = useLoaded(() => get<{ items: Run[] }>("/v1/runs", { state, action: wanted, before, limit: PAGE }), [state, wanted, before]);
  const [chosen, setChosen] = useState(state);
  const items = runs.value?.items ?? [];
  const to = (more: Record<string, string>) => {
    const next = new URLSearchParams();
    for (const [name, value] of Object.entries({ state, action: wanted, ...more })) if (value) next.set(name, value);
    return "/runs" + (next.size > 0 ? "?" + next : "");
  };
  return (
    <View
      title="Runs"
      actions={
        <button type="button" onClick={() => void runs.reload()}>
          Refresh
        </button>
      }
    >
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          go(to({ state: chosen, action: action.current?.value.trim() ?? "" }));
        }}
      >
        <div class="field">
          <label for="run-state">State</label>
          <select id="run-state" value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="">any</option>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {one.replaceAll("_", " ")}
              </option>
            ))}
          </select>
        </div>
        <Input label="Action" at={action} type="search" value={wanted} />
        <button type="submit">Filter</button>
      </form>
      <Loading of={runs} empty={runs.value !== undefined && items.length === 0} />
      {items.length > 0 && (
        <Table caption="Runs, newest first" heads={["Asked", "Action", "State", "Asked by", "Ended"]}>
          {items.map((run) => (
            <tr key={run.id}>
              <td>
                <a href={"/runs?id=" + segment(run.id)}>
                  <Time at={run.requested_at} />
                </a>
              </td>
              <td>
                <Text of={run.action} code />
              </td>
              <td>
                <StateBadge state={run.state} />
              </td>
              <td>
                <Text of={run.caller.name || run.caller.id} />
              </td>
              <td>
                <Time at={run.ended_at} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      <nav class="buttons" aria-label="Pages">
        {before !== "" && <a href={to({})}>Newest</a>}
        {items.length === PAGE && <a href={to({ before: items[items.length - 1]!.id })}>Older</a>}
      </nav>
    </View>
  );
}

export function RunsView() {
  const { query } = useCell(place);
  const id = query.get("id");
  return id !== null ? <Detail key={id} id={id} /> : <List key={String(query)} query={query} />;
}
