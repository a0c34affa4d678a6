import { useRef } from "preact/hooks";
import { ask, get, segment } from "../api";
import { useCell } from "../cell";
import { go, place } from "../route";
import { Codes, Hash, Hosts, LongText, Members, Text, Time } from "../text";
import type { Action, ActionConnector, Connector, ConnectorFull, LoadError } from "../types";
import { Badge, Confirmed, Fact, Facts, Input, Loading, Note, Table, Trouble, View, announce, useDoing, useLoaded } from "../ui";
import { Pin, effectText } from "./approval_card";
import { Capabilities } from "./capabilities";

interface ActionList {
  items: Action[];
  load_errors: LoadError[];
}

function Switch({ of, changed }: { of: Action; changed: () => Promise<void> }) {
  const doing = useDoing();
  return (
    <>
      <button
        type="button"
        class="small"
        disabled={doing.busy}
        aria-label={(of.enabled ? "Disable " : "Enable ") + of.name}
        onClick={() =>
          void doing.run(async () => {
            await ask("PATCH", "/v1/actions/" + segment(of.name), { enabled: !of.enabled });
            announce(`${of.name} is ${of.enabled ? "disabled" : "enabled"}.`);
            await changed();
          })
        }
      >
        {of.enabled ? "Disable" : "Enable"}
      </button>
      <Trouble error={doing.error} />
    </>
  );
}

/** A browser tells no page where a folder is: its path is typed. */
function Link({ what, route, hint, linked }: { what: string; route: string; hint: string; linked: () => Promise<void> }) {
  const path = useRef<HTMLInputElement>(null);
  const doing = useDoing();
  const link = async () => {
    await ask("POST", route, { path: path.current!.value.trim() });
    path.current!.value = "";
    announce(`Linked: ${what}.`);
    await linked();
  };
  return (
    <details>
      <summary>Link {what}</summary>
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.run(link);
        }}
      >
        <Input label={"Path of " + what} hint={hint} at={path} required pattern="/.*" />
        <Trouble error={doing.error} />
        <button type="submit" disabled={doing.busy}>
          Link
        </button>
      </form>
    </details>
  );
}

function Needs({ of }: { of: ActionConnector }) {
  return (
    <li>
      <a href={"/actions?connector=" + segment(of.name)}>
        <Text of={of.name} />
      </a>{" "}
      {of.status === "missing" && <Badge kind="bad">missing</Badge>}
      <Pin of={of.pinned} />
      <Facts>
        <Fact name="Operations">
          <Codes of={of.capabilities} none="none" />
        </Fact>
        <Fact name="Hosts">
          <Hosts of={of.any_public_host ? ["*"] : (of.hosts ?? [])} />
        </Fact>
        <Fact name="Pinned">
          <Hash of={of.hash} />
        </Fact>
        <Fact name="Content">
          <Hash of={of.actual_hash} />
        </Fact>
      </Facts>
    </li>
  );
}

function ActionDetail({ name }: { name: string }) {
  const action = useLoaded(() => get<Action>("/v1/actions/" + segment(name)), [name]);
  const one = action.value;
  return (
    <View title="Action" actions={<a href="/actions">All actions</a>}>
      <Loading of={action} />
      {one && (
        <>
          <h2>
            <Text of={one.title || one.name} />
          </h2>
          <p class="badges">
            {one.enabled ? <Badge kind="good">enabled</Badge> : <Badge>disabled</Badge>}
            {one.linked && <Badge kind="warn">linked folder</Badge>}
            {one.signed === false && <Badge kind="warn">unsigned</Badge>}
            {one.approval?.required ? <Badge kind="good">asks a person</Badge> : <Badge kind="warn">runs without asking</Badge>}
            <Switch of={one} changed={action.reload} />
          </p>
          {(one.problems ?? []).length > 0 && (
            <Note kind="warn">
              <ul>
                {one.problems!.map((problem, i) => (
                  <li key={i}>
                    <Text of={problem} />
                  </li>
                ))}
              </ul>
            </Note>
          )}
          {one.tool_problem && (
            <Note kind="bad">
              Not offered as a tool: <Text of={one.tool_problem} />
            </Note>
          )}
          <Facts>
            <Fact name="Name">
              <Text of={one.name} code /> <Text of={one.version} />
            </Fact>
            {one.tool && (
              <Fact name="Tool">
                <Text of={one.tool} code />
              </Fact>
            )}
            {one.match?.intent && (
              <Fact name="For">
                <Text of={one.match.intent} />
              </Fact>
            )}
            <Fact name="File">
              <Text of={one.path} code />
            </Fact>
            <Fact name="Content">
              <Hash of={one.hash} />
            </Fact>
            <Fact name="Linked">
              <Time at={one.linked_at} />
            </Fact>
          </Facts>
          <h2>Inputs</h2>
          {(one.inputs ?? []).length === 0 ? (
            <p class="muted">None.</p>
          ) : (
            <Table caption="Inputs" heads={["Name", "Type", "Required", "What it is"]}>
              {(one.inputs ?? []).map((input) => (
                <tr key={input.name}>
                  <td>
                    <Text of={input.name} code />
                  </td>
                  <td>
                    <Text of={input.items_type ? `${input.type} of ${input.items_type}` : input.type} />
                  </td>
                  <td>{input.required === false ? "no" : "yes"}</td>
                  <td>
                    <Text of={input.description ?? ""} />
                  </td>
                </tr>
              ))}
            </Table>
          )}
          <h2>Steps</h2>
          <ol class="steps">
            {(one.execute ?? []).map((step) => (
              <li key={step.id}>
                <Text of={step.id} code />: <Text of={step.op} code /> of <Text of={step.connector} />, which {effectText(step.effect)}.
                <Members of={step.inputs} none="Without arguments of its own." />
              </li>
            ))}
          </ol>
          <h2>Connectors that it needs</h2>
          <ul class="plain">
            {(one.requires?.connectors ?? []).map((connector) => (
              <Needs key={connector.name} of={connector} />
            ))}
          </ul>
          {one.linked && (
            <Confirmed
              label="Unlink"
              title={"Unlink " + one.name}
              does={async () => {
                await ask("POST", "/v1/actions/unlink", { name: one.name });
                go("/actions");
              }}
            >
              <p>Agents cannot ask for it any more, and what waits for approval is refused. The file stays.</p>
            </Confirmed>
          )}
          {one.body && (
            <>
              <h2>What its author says</h2>
              <div class="quoted">
                <LongText of={one.body} />
              </div>
            </>
          )}
        </>
      )}
    </View>
  );
}

function ConnectorDetail({ fqn }: { fqn: string }) {
  const connector = useLoaded(() => get<ConnectorFull>("/v1/connectors/" + segment(fqn)), [fqn]);
  return (
    <View title="Connector" actions={<a href="/actions">All connectors</a>}>
      <Loading of={connector} />
      {connector.value && (
        <>
          <h2>
            <Text of={connector.value.fqn} />
          </h2>
          <Capabilities of={connector.value} />
          <div class="buttons">
            {connector.value.credential && <a href={"/bindings?new=" + segment(fqn)}>Bind a credential</a>}
            {connector.value.linked && (
              <Confirmed
                label="Unlink"
                title={"Unlink " + fqn}
                does={async () => {
                  await ask("POST", `/v1/connectors/${segment(fqn)}/unlink`);
                  go("/actions");
                }}
              >
                <p>Actions that need it fail. Its folder stays, and so do its bindings.</p>
              </Confirmed>
            )}
          </div>
        </>
      )}
    </View>
  );
}

function LoadErrors({ of }: { of: LoadError[] }) {
  if (of.length === 0) return null;
  return (
    <Note kind="bad">
      <p>Files that are no actions:</p>
      <ul>
        {of.map((error, i) => (
          <li key={i}>
            {error.file && (
              <>
                <Text of={error.file + (error.line ? ":" + error.line : "")} code />{" "}
              </>
            )}
            <Text of={error.message} />
          </li>
        ))}
      </ul>
    </Note>
  );
}

function Actions() {
  const actions = useLoaded(() => get<ActionList>("/v1/actions"));
  const items = actions.value?.items ?? [];
  return (
    <section>
      <h2>Actions</h2>
      <Link what="actions" route="/v1/actions/link" hint="Absolute: a file that ends in .md, or a folder of them. Who can write there can change what agents may ask for." linked={actions.reload} />
      <Loading of={actions} empty={actions.value !== undefined && items.length === 0} />
      {actions.value && <LoadErrors of={actions.value.load_errors} />}
      {items.length > 0 && (
        <Table caption="Actions, what agents may ask for" heads={["Action", "What it does", "Asks", "State", ""]}>
          {items.map((one) => (
            <tr key={one.name}>
              <td>
                <a href={"/actions?name=" + segment(one.name)}>
                  <Text of={one.name} />
                </a>{" "}
                <Text of={one.version} />
              </td>
              <td>
                <Text of={one.title || one.match?.intent || ""} />
                {one.tool_problem && <Badge kind="bad">no tool</Badge>}
              </td>
              <td>{one.approval?.required ? "always" : "never"}</td>
              <td>{one.enabled ? <Badge kind="good">enabled</Badge> : <Badge>disabled</Badge>}</td>
              <td>
                <Switch of={one} changed={actions.reload} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

function Connectors() {
  const connectors = useLoaded(() => get<{ items: Connector[] }>("/v1/connectors"));
  const items = connectors.value?.items ?? [];
  return (
    <section>
      <h2>Connectors</h2>
      <Link what="a connector" route="/v1/connectors/link" hint="Absolute: the folder of manifest.toml and connector.wasm. It is unsigned code: read what it asks for." linked={connectors.reload} />
      <Loading of={connectors} empty={connectors.value !== undefined && items.length === 0} />
      {items.length > 0 && (
        <Table caption="Connectors, the code that reaches services" heads={["Connector", "Publisher", "Trust", "Credential", "Content", "Last used"]}>
          {items.map((one) => (
            <tr key={one.fqn}>
              <td>
                <a href={"/actions?connector=" + segment(one.fqn)}>
                  <Text of={one.fqn} />
                </a>{" "}
                <Text of={one.version} />
              </td>
              <td>
                <Text of={one.publisher ?? "–"} />
              </td>
              <td>
                {one.linked && <Badge kind="warn">linked</Badge>} {!one.signed && <Badge kind="warn">unsigned</Badge>}
              </td>
              <td>
                <Text of={one.credential_kind ?? "none"} />
              </td>
              <td>
                <Hash of={one.content_hash} />
              </td>
              <td>
                <Time at={one.last_used_at} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

export function ActionsView() {
  const { query } = useCell(place);
  const name = query.get("name");
  const connector = query.get("connector");
  if (name !== null) return <ActionDetail key={name} name={name} />;
  if (connector !== null) return <ConnectorDetail key={connector} fqn={connector} />;
  return (
    <View title="Actions and connectors">
      <Actions />
      <Connectors />
    </View>
  );
}
