import { get } from "../api";
import { Hash, Text, Time } from "../text";
import type { Confinement, Status } from "../types";
import { Badge, Fact, Facts, Loading, View, useLoaded } from "../ui";

function Proof({ of }: { of: Confinement | undefined }) {
  if (of === undefined) return <p class="muted">It has proven nothing yet.</p>;
  const missing = of.missing ?? [];
  return (
    <details>
      <summary>
        {missing.length === 0 ? <Badge kind="good">confined</Badge> : (
          <Badge kind="warn">
            without <Text of={missing.join(", ")} />
          </Badge>
        )} {of.proof.length} proofs
      </summary>
      <ul class="proof">
        {of.proof.map((line, i) => (
          <li key={i}>
            <Text of={line} code />
          </li>
        ))}
      </ul>
    </details>
  );
}

export function ProcessesView() {
  const status = useLoaded(() => get<Status>("/v1/status"));
  const one = status.value;
  return (
    <View
      title="Processes"
      actions={
        <button type="button" onClick={() => void status.reload()}>
          Refresh
        </button>
      }
    >
      <Loading of={status} />
      {one && (
        <>
          <Facts>
            <Fact name="Version">
              <Text of={one.version} />
            </Fact>
            <Fact name="Listens at">
              <Text of={one.listen_addr} code />
            </Fact>
            <Fact name="Folder">
              <Text of={one.state_dir} code />
            </Fact>
            <Fact name="Running since">
              <Time at={one.started_at} />
            </Fact>
          </Facts>
          <p>What runs, and what each process tried and was refused: the proof that it is confined.</p>
          {one.processes.map((process) => (
            <article class="card" key={process.role} aria-label={process.role}>
              <header>
                <h2>
                  <Text of={process.role} />
                </h2>
                <p class="badges">
                  {process.running ? <Badge kind="good">running, {process.pid}</Badge> : <Badge kind="bad">not running</Badge>}
                  {process.silent && <Badge kind="bad">does not answer</Badge>}
                  {process.restarts > 0 && <Badge kind="warn">started again {process.restarts} times</Badge>}
                </p>
              </header>
              {process.last_end && (
                <p>
                  The one before it: <Text of={process.last_end} />
                </p>
              )}
              <Proof of={process.confinement} />
            </article>
          ))}
          {one.runners.map((runner) => (
            <article class="card" key={runner.pid} aria-label={"runner " + runner.pid}>
              <header>
                <h2>
                  runner of <Text of={runner.connector} />
                </h2>
                <p class="badges">
                  <Badge kind="good">running, {runner.pid}</Badge> {runner.calls} calls
                </p>
              </header>
              <Hash of={runner.content_hash} />
              <Proof of={runner.confinement} />
            </article>
          ))}
        </>
      )}
    </View>
  );
}
