import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { ApiError, get, segment } from "../api";
import { awaitDevice, beginDevice, beginOAuth, consentOf, fieldsOf, rebind, revoke, serviceOf, setUp, type BindingFields } from "../binding";
import { useCell } from "../cell";
import { go, place } from "../route";
import { Codes, Hosts, Text, Time } from "../text";
import type { Binding, Connector, ConnectorFull, OAuthBegun } from "../types";
import { Badge, Confirmed, Fact, Facts, Field, Input, Loading, Note, Trouble, View, announce, taken, useDoing, useLoaded } from "../ui";
import { SealingNeeded, UnlockForm, loadVault, useVault } from "../vault_state";
import { Capabilities } from "./capabilities";

const QUESTION: Record<string, string> = {
  api_key: "API key",
  basic: "Password",
  aws_sigv4: "Secret access key",
  signing_key: "Signing key",
};

function PrivateHosts({ hosts, chosen, choose }: { hosts: string[]; chosen: string[]; choose: (hosts: string[]) => void }) {
  if (hosts.length === 0) return null;
  return (
    <details>
      <summary>A host of these is on my own network</summary>
      <p class="hint">Only public addresses are reached, unless you allow a host's private ones here.</p>
      {hosts.map((host) => (
        <label class="check" key={host}>
          <input type="checkbox" checked={chosen.includes(host)} onChange={(event) => choose(event.currentTarget.checked ? [...chosen, host] : chosen.filter((one) => one !== host))} />{" "}
          <Text of={host} code /> may be private
        </label>
      ))}
    </details>
  );
}

interface SecretProps {
  kind: string;
  line: RefObject<HTMLInputElement | null>;
  lines: RefObject<HTMLTextAreaElement | null>;
}

function SecretField({ kind, line, lines }: SecretProps) {
  if (kind !== "signing_key") return <Input label={QUESTION[kind] ?? "Value"} at={line} type="password" autocomplete="off" required hint="Sealed in this page to the keeper; it is not shown again." />;
  return (
    <Field label={QUESTION[kind]!} hint="Sealed in this page to the keeper; it is not shown again.">
      {(id, hint) => <textarea id={id} ref={lines} rows={6} required spellcheck={false} autocomplete="off" aria-describedby={hint} />}
    </Field>
  );
}

/** The address is the authorization server's word: a link where it is one of the web, text in any case. */
function ServerAddress({ of }: { of: string }) {
  const scheme = URL.canParse(of) ? new URL(of).protocol : "";
  if (scheme !== "https:" && scheme !== "http:") return <Text of={of} code />;
  return (
    <a href={of} target="_blank" rel="noreferrer">
      <Text of={of} />
    </a>
  );
}

function DeviceCode({ begun }: { begun: OAuthBegun }) {
  const doing = useDoing();
  useEffect(() => {
    const quit = new AbortController();
    void doing.run(async () => {
      const binding = await awaitDevice(begun, quit.signal);
      if (binding === null) return;
      announce(`${binding.name} is bound.`);
      go("/bindings");
    });
    return () => quit.abort();
  }, []);
  return (
    <section class="panel" aria-label="Code for another device">
      <p>
        Open <ServerAddress of={begun.verification_uri_complete || begun.verification_uri || ""} /> on any device, and see that it shows this code, or type it:
      </p>
      <pre class="command">
        <Text of={begun.user_code} />
      </pre>
      {doing.busy && <p role="status">Waiting until it is typed …</p>}
      <Trouble error={doing.error} />
      <a href="/bindings">Leave it</a>
    </section>
  );
}

/** Set up anew, or `existing` given another value or authorized again. */
function BindForm({ connector, existing }: { connector: ConnectorFull; existing?: Binding }) {
  const at = {
    identity: useRef<HTMLInputElement>(null),
    service: useRef<HTMLInputElement>(null),
    account: useRef<HTMLInputElement>(null),
    key: useRef<HTMLInputElement>(null),
    region: useRef<HTMLInputElement>(null),
    user: useRef<HTMLInputElement>(null),
    line: useRef<HTMLInputElement>(null),
    lines: useRef<HTMLTextAreaElement>(null),
    passphrase: useRef<HTMLInputElement>(null),
  };
  const doing = useDoing();
  const [elsewhere, setElsewhere] = useState(connector.credential?.oauth2?.authorize_url === undefined);
  const [begun, setBegun] = useState<OAuthBegun | undefined>();
  const [allowed, setAllowed] = useState<string[]>(existing?.allow_private ?? []);
  const credential = connector.credential;
  const kind = credential?.kind ?? "";
  const read = (of: RefObject<HTMLInputElement | null>, otherwise = "") => of.current?.value.trim() || otherwise;

  const fields = (): BindingFields => {
    const old = existing === undefined ? undefined : fieldsOf(existing);
    return {
      kind,
      connector_fqn: connector.fqn,
      service: old?.service ?? read(at.service),
      identity: old?.identity ?? read(at.identity),
      account: old?.account ?? read(at.account),
      access_key_id: read(at.key, old?.access_key_id),
      region: read(at.region, old?.region),
      username: read(at.user, old?.username),
      scope: old?.scope ?? "",
    };
  };

  const bind = async () => {
    const consent = consentOf(connector, allowed);
    if (kind === "oauth2") {
      const beginning = { connector, fields: fields(), consent, again: existing !== undefined };
      if (elsewhere) setBegun(await beginDevice(beginning, taken(at.passphrase)));
      else location.assign(await beginOAuth(beginning));
      return;
    }
    const wanted = fields();
    const value = kind === "signing_key" ? taken(at.lines) : taken(at.line);
    if (value === "") throw new ApiError(0, "missing_value", "nothing was typed");
    await (existing === undefined ? setUp(wanted, value, consent) : rebind(wanted, value, consent));
    announce(`${kind}/${wanted.service}/${wanted.identity} is bound.`);
    go("/bindings");
  };

  if (begun !== undefined) return <DeviceCode begun={begun} />;
  if (credential === undefined) return <Note>This connector asks for no credential: there is nothing to bind.</Note>;
  return (
    <SealingNeeded command={existing ? `aileron binding ${kind === "oauth2" ? "reauthorize" : "rebind"} ${existing.name}` : `aileron binding setup ${connector.fqn}`}>
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.run(bind);
        }}
      >
        {existing === undefined && (
          <>
            <Input label="Who are you there?" hint="A short name: work, home, alice" at={at.identity} required pattern="[a-z0-9][a-z0-9._\-]*" />
            <Input label="Service" at={at.service} value={serviceOf(connector.fqn)} required pattern="[a-z0-9][a-z0-9._\-]*" />
            <Input label="Account, for people (optional)" at={at.account} />
          </>
        )}
        {kind === "aws_sigv4" && (
          <>
            <Input label="Access key id" at={at.key} value={existing?.access_key_id ?? ""} required={!credential.access_key_id} />
            <Input label="Region (empty: any)" at={at.region} value={existing?.region ?? ""} />
          </>
        )}
        {kind === "basic" && <Input label="User name" at={at.user} value={existing?.username ?? ""} required={!credential.username} />}
        {kind !== "oauth2" && <SecretField kind={kind} line={at.line} lines={at.lines} />}
        {credential.oauth2?.authorize_url && credential.oauth2.device_authorization_url && (
          <label class="check">
            <input type="checkbox" checked={elsewhere} onChange={(event) => setElsewhere(event.currentTarget.checked)} /> With a code that I type on another device
          </label>
        )}
        {kind === "oauth2" && elsewhere && (
          <Input label="Passphrase of the vault" hint="It says that a person agrees; sealed in this page to the keeper." at={at.passphrase} type="password" autocomplete="current-password" required />
        )}
        <PrivateHosts hosts={connector.any_public_host ? [] : connector.hosts} chosen={allowed} choose={setAllowed} />
        <label class="check">
          <input type="checkbox" required /> This connector may use the credential at the hosts above.
        </label>
        {doing.error?.code === "vault_locked" ? (
          <Note kind="warn">
            <p>The vault is locked. Unlock it, then bind.</p>
          </Note>
        ) : (
          <Trouble error={doing.error} />
        )}
        <div class="buttons">
          <button type="submit" class="primary" disabled={doing.busy}>
            {kind !== "oauth2" ? "Bind" : elsewhere ? "Get a code" : "Go to the authorization server"}
          </button>
          <a href="/bindings">Cancel</a>
        </div>
      </form>
    </SealingNeeded>
  );
}

function Binder({ fqn, name }: { fqn: string | undefined; name: string | undefined }) {
  const known = useVault();
  const loaded = useLoaded(async () => {
    await loadVault();
    const binding = name === undefined ? undefined : await get<Binding>("/v1/bindings/" + segment(name));
    const connector = await get<ConnectorFull>("/v1/connectors/" + segment(binding?.connector_fqn ?? fqn!));
    return { binding, connector };
  }, [fqn, name]);
  return (
    <View title={name === undefined ? "Bind a credential" : "Bind again"} actions={<a href="/bindings">All bindings</a>}>
      <Loading of={loaded} />
      {loaded.value && (
        <>
          {loaded.value.binding && (
            <p>
              <Text of={loaded.value.binding.name} code />
            </p>
          )}
          <h2>
            <Text of={loaded.value.connector.fqn} />
          </h2>
          <Capabilities of={loaded.value.connector} />
          {known?.state === "locked" && (
            <Note kind="warn">
              <p>The vault is locked.</p>
              <UnlockForm />
            </Note>
          )}
          {known?.state === "missing" && (
            <Note kind="warn">
              There is no vault yet. <a href="/vault">Make one</a> first.
            </Note>
          )}
          {known?.state === "unlocked" && <BindForm connector={loaded.value.connector} {...(loaded.value.binding ? { existing: loaded.value.binding } : {})} />}
        </>
      )}
    </View>
  );
}

function BindingCard({ of, changed }: { of: Binding; changed: () => Promise<void> }) {
  return (
    <article class="card" aria-label={of.name}>
      <header>
        <h2>
          <Text of={of.name} />
        </h2>
        <p class="badges">
          <Badge kind={of.status === "active" ? "good" : "bad"}><Text of={of.status + (of.stale_reason ? ": " + of.stale_reason.replaceAll("_", " ") : "")} /></Badge>
          {!of.verified && <Badge kind="warn">not verified: the vault is locked</Badge>}
        </p>
      </header>
      <Facts>
        <Fact name="Connector">
          <a href={"/actions?connector=" + segment(of.connector_fqn)}>
            <Text of={of.connector_fqn} />
          </a>
        </Fact>
        <Fact name="Hosts">
          <Hosts of={of.hosts} />
        </Fact>
        {of.account && (
          <Fact name="Account">
            <Text of={of.account} />
          </Fact>
        )}
        {of.username && (
          <Fact name="User">
            <Text of={of.username} />
          </Fact>
        )}
        {of.granted_scopes && (
          <Fact name="Granted">
            <Codes of={of.granted_scopes} none="nothing" />
          </Fact>
        )}
        <Fact name="Since">
          <Time at={of.created_at} />
        </Fact>
        <Fact name="Last used">
          <Time at={of.last_used_at} />
        </Fact>
      </Facts>
      <div class="buttons">
        <a href={"/bindings?again=" + segment(of.name)}>{of.kind === "oauth2" ? "Authorize again" : "Give it another value"}</a>
        <Confirmed
          label="Revoke"
          title={"Revoke " + of.name}
          does={async () => {
            await revoke(of.name);
            await changed();
          }}
        >
          <p>Its value is deleted. What needs it fails until it is bound anew.</p>
        </Confirmed>
      </div>
    </article>
  );
}

/** What the authorization server's answer came to, from the fragment that the daemon sent the browser back with. */
function useReturned(): { ok: boolean; binding: string } | undefined {
  const [returned] = useState(() => {
    const said = new URLSearchParams(location.hash.slice(1));
    const outcome = said.get("aileron_oauth");
    return outcome === null ? undefined : { ok: outcome === "ok", binding: said.get("binding") ?? "" };
  });
  useEffect(() => {
    if (returned !== undefined) history.replaceState(null, "", location.pathname);
  }, []);
  return returned;
}

function List() {
  const returned = useReturned();
  const bindings = useLoaded(() => get<{ items: Binding[] }>("/v1/bindings"));
  const connectors = useLoaded(() => get<{ items: Connector[] }>("/v1/connectors"));
  const items = bindings.value?.items ?? [];
  const bindable = (connectors.value?.items ?? []).filter((one) => one.credential_kind !== undefined);
  return (
    <View title="Bindings">
      {returned && (
        <Note kind={returned.ok ? "good" : "bad"}>
          <p role="status">
            {returned.ok ? "Authorized: " : "That did not work: "}
            <Text of={returned.binding} code />
          </p>
        </Note>
      )}
      <p>A binding lets one connector use one credential of yours at the hosts that you agreed to.</p>
      {bindable.length > 0 && (
        <section>
          <h2>Bind a credential to</h2>
          <ul class="plain">
            {bindable.map((one) => (
              <li key={one.fqn}>
                <a href={"/bindings?new=" + segment(one.fqn)}>
                  <Text of={one.fqn} />
                </a>{" "}
                (<Text of={one.credential_kind} />)
              </li>
            ))}
          </ul>
        </section>
      )}
      <Loading of={bindings} empty={bindings.value !== undefined && items.length === 0} />
      {items.map((one) => (
        <BindingCard key={one.name} of={one} changed={bindings.reload} />
      ))}
    </View>
  );
}

export function BindingsView() {
  const { query } = useCell(place);
  const fqn = query.get("new") ?? undefined;
  const name = query.get("again") ?? undefined;
  return fqn !== undefined || name !== undefined ? <Binder key={fqn ?? name} fqn={fqn} name={name} /> : <List />;
}
