import { useRef, useState } from "preact/hooks";
import { ask, get, withQuery } from "../api";
import { useCell } from "../cell";
import { go, place } from "../route";
import { Hash, Members, Text, Time } from "../text";
import type { AuditRow, JsonObject, Verdict } from "../types";
import { Fact, Facts, Loading, Note, Table, Trouble, View, useDoing, useLoaded } from "../ui";

const PAGE = 100;
const FILTERS = [
  ["type", "Event", "execution.failed"],
  ["connector_fqn", "Connector", ""],
  ["class", "Failure", ""],
  ["binding", "Binding", ""],
  ["since", "Since (RFC 3339)", "2026-01-01T00:00:00Z"],
] as const;

const ABOUT = [
  "aileron.action.fqn",
  "aileron.connector.fqn",
  "aileron.connector.operation",
  "aileron.binding.name",
  "aileron.vault.path",
  "aileron.failure.class",
  "aileron.process.role",
  "aileron.reason",
];

function aboutOf(payload: JsonObject): string {
  return ABOUT.filter((name) => typeof payload[name] === "string")
    .map((name) => payload[name])
    .join(", ");
}

function Chain() {
  const doing = useDoing();
  const [verdict, setVerdict] = useState<Verdict | undefined>();
  return (
    <section aria-label="Chain">
      <div class="buttons">
        <button type="button" disabled={doing.busy} onClick={() => void doing.run(async () => setVerdict(await ask<Verdict>("POST", "/v1/audit/verify")))}>
          {doing.busy ? "Verifying …" : "Verify the chain"}
        </button>
      </div>
      <Trouble error={doing.error} />
      {verdict && (
        <Note kind={verdict.intact ? "good" : "bad"}>
          <p role="status">
            <strong>{verdict.intact ? "The chain is intact" : "The chain is broken"}</strong>
            {verdict.broken_seq !== undefined && ` at event ${verdict.broken_seq}`}
            {verdict.why && (
              <>
                : <Text of={verdict.why} />
              </>
            )}
            {verdict.origin_proven ? ", and signed by this device." : "; origin not proven."} {verdict.events.toLocaleString("en")} events, {verdict.first_seq} to {verdict.last_seq}, {verdict.checkpoints} checkpoints.
          </p>
        </Note>
      )}
    </section>
  );
}

function Row({ of, open, toggle }: { of: AuditRow; open: boolean; toggle: () => void }) {
  const { event } = of;
  return (
    <>
      <tr>
        <td>
          <button type="button" class="small" aria-expanded={open} onClick={toggle} aria-label={`Event ${of.seq}`}>
            {of.seq}
          </button>
        </td>
        <td>
          <Time at={event.timestamp} />
        </td>
        <td>
          <Text of={event.event_type} code />
        </td>
        <td>
          <Text of={event.actor.id} />
        </td>
        <td>
          <Text of={aboutOf(event.payload)} />
        </td>
      </tr>
      {open && (
        <tr>
          <td colSpan={5}>
            <Facts>
              <Fact name="Id">
                <Text of={event.audit_id} code />
              </Fact>
              <Fact name="Actor">
                <Text of={event.actor.type} /> <Text of={event.actor.identity_label ?? ""} />
              </Fact>
              <Fact name="Hash">
                <Hash of={of.hash} />
              </Fact>
              <Fact name="Follows">
                <Hash of={of.prev} />
              </Fact>
              {of.trace_id && (
                <Fact name="Trace">
                  <Text of={of.trace_id} code />
                </Fact>
              )}
            </Facts>
            <Members of={event.payload} none="It says nothing more." />
          </td>
        </tr>
      )}
    </>
  );
}

function Filters({ query }: { query: URLSearchParams }) {
  const form = useRef<HTMLFormElement>(null);
  return (
    <form
      ref={form}
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        const said = new FormData(form.current!);
        go(withQuery("/audit", Object.fromEntries([...said].map(([name, value]) => [name, String(value).trim()]))));
      }}
    >
      {FILTERS.map(([name, label, example]) => (
        <div class="field" key={name}>
          <label for={"audit-" + name}>{label}</label>
          <input id={"audit-" + name} name={name} type="search" placeholder={example} defaultValue={query.get(name) ?? ""} autocomplete="off" spellcheck={false} />
        </div>
      ))}
      <button type="submit">Filter</button>
      {query.size > 0 && <a href="/audit">All</a>}
    </form>
  );
}

/** One page at a time, however many there are. */
function Events({ query }: { query: URLSearchParams }) {
  const asked = Object.fromEntries(query);
  const rows = useLoaded(() => get<{ events: AuditRow[] }>("/v1/audit", { ...asked, limit: PAGE }));
  const [open, setOpen] = useState<number | undefined>();
  const events = rows.value?.events ?? [];
  const last = events[events.length - 1];
  const { before_seq, ...kept } = asked;
  return (
    <>
      <Loading of={rows} empty={rows.value !== undefined && events.length === 0} />
      {events.length > 0 && (
        <Table caption="The record, newest first" heads={["No.", "Time", "Event", "Who", "About"]}>
          {events.map((row) => (
            <Row key={row.seq} of={row} open={open === row.seq} toggle={() => setOpen(open === row.seq ? undefined : row.seq)} />
          ))}
        </Table>
      )}
      <nav class="buttons" aria-label="Pages">
        {before_seq !== undefined && <a href={withQuery("/audit", kept)}>Newest</a>}
        {events.length === PAGE && last && <a href={withQuery("/audit", { ...kept, before_seq: last.seq })}>Older</a>}
      </nav>
    </>
  );
}

export function AuditView() {
  const { query } = useCell(place);
  return (
    <View title="Audit">
      <Chain />
      <Filters key={"filters" + query} query={query} />
      <Events key={"events" + query} query={query} />
    </View>
  );
}
