import { useRef, useState } from "preact/hooks";
import { ask, get, segment } from "../api";
import { Text, Time } from "../text";
import type { Agent, Session } from "../types";
import { Badge, Confirmed, Field, Input, Loading, Note, Table, Trouble, View, useDoing, useLoaded } from "../ui";

function Agents() {
  const agents = useLoaded(() => get<{ items: Agent[] }>("/v1/agents"));
  const items = agents.value?.items ?? [];
  return (
    <section>
      <h2>Agents</h2>
      <p>Who may ask for actions over MCP, each with a token of its own. An agent's token decides nothing.</p>
      <Loading of={agents} empty={agents.value !== undefined && items.length === 0} />
      {items.length > 0 && (
        <Table caption="Agents" heads={["Name", "Kind", "Program", "Since", "Last used", "State", ""]}>
          {items.map((agent) => (
            <tr key={agent.id}>
              <td>
                <Text of={agent.name} />
              </td>
              <td>
                <Text of={agent.kind} />
              </td>
              <td>
                <Text of={agent.program ?? "–"} />
              </td>
              <td>
                <Time at={agent.created_at} />
              </td>
              <td>
                <Time at={agent.last_used_at} />
              </td>
              <td>{agent.revoked_at ? <Badge>revoked</Badge> : <Badge kind="good">may ask</Badge>}</td>
              <td>
                {!agent.revoked_at && (
                  <Confirmed
                    label="Revoke"
                    title={"Revoke the agent " + agent.name}
                    does={async () => {
                      await ask("DELETE", "/v1/agents/" + segment(agent.id));
                      await agents.reload();
                    }}
                  >
                    <p>Its token is good no more; what it asked for already stays.</p>
                  </Confirmed>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <NewAgent made={agents.reload} />
    </section>
  );
}

function NewAgent({ made }: { made: () => Promise<void> }) {
  const name = useRef<HTMLInputElement>(null);
  const doing = useDoing();
  const [token, setToken] = useState<{ name: string; token: string } | undefined>();
  return (
    <details>
      <summary>A token for a client over HTTP</summary>
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.run(async () => {
            const wanted = name.current!.value.trim();
            setToken(await ask("POST", "/v1/agents", { name: wanted, kind: "http" }));
            name.current!.value = "";
            await made();
          });
        }}
      >
        <Input label="Name of the client" at={name} required />
        <Trouble error={doing.error} />
        <button type="submit" disabled={doing.busy}>
          Make a token
        </button>
        {token && (
          <Note kind="good">
            <Field label={`Token of ${token.name}, shown this once`}>{(id) => <input id={id} readOnly value={token.token} onFocus={(event) => event.currentTarget.select()} />}</Field>
          </Note>
        )}
      </form>
    </details>
  );
}

export function SessionsView() {
  const sessions = useLoaded(() => get<{ items: Session[] }>("/v1/sessions", { limit: 200 }));
  const items = sessions.value?.items ?? [];
  return (
    <View
      title="Sessions and agents"
      actions={
        <button type="button" onClick={() => void sessions.reload()}>
          Refresh
        </button>
      }
    >
      <section>
        <h2>Sessions</h2>
        <Loading of={sessions} empty={sessions.value !== undefined && items.length === 0} />
        {items.length > 0 && (
          <Table caption="Sessions, newest first" heads={["Session", "Agent", "Folder", "Began", "Ended", "State", ""]}>
            {items.map((one) => (
              <tr key={one.id}>
                <td>
                  <Text of={one.id} code />
                </td>
                <td>
                  <Text of={one.agent} />
                </td>
                <td>
                  <Text of={one.working_dir || "–"} />
                </td>
                <td>
                  <Time at={one.started_at} />
                </td>
                <td>
                  <Time at={one.ended_at} />
                </td>
                <td>
                  <Badge {...(one.status === "running" ? { kind: "good" as const } : {})}><Text of={one.status} /></Badge>
                </td>
                <td>
                  {one.status === "running" && !one.is_agent && (
                    <Confirmed
                      label="End"
                      title={"End the session of " + one.agent}
                      does={async () => {
                        await ask("POST", `/v1/sessions/${segment(one.id)}/end`, {});
                        await sessions.reload();
                      }}
                    >
                      <p>Its token is good no more. What it asked for goes on waiting.</p>
                    </Confirmed>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </section>
      <Agents />
    </View>
  );
}
