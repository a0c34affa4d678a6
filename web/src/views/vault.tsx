import { useRef } from "preact/hooks";
import { ApiError, ask, get, segment } from "../api";
import { canonical } from "../canonical";
import { FIELD, askSealed } from "../sealing";
import { Text, Time, duration } from "../text";
import type { Member, VaultEntry, VaultStatus } from "../types";
import { Badge, Confirmed, Fact, Facts, Field, Input, Loading, Note, Table, Trouble, View, announce, taken, useDoing, useLoaded } from "../ui";
import { SealingNeeded, UnlockForm, loadVault, useVault, vault } from "../vault_state";

function InitForm() {
  const first = useRef<HTMLInputElement>(null);
  const again = useRef<HTMLInputElement>(null);
  const doing = useDoing();
  const make = async () => {
    const passphrase = taken(first);
    if (passphrase !== taken(again)) throw new ApiError(0, "differ", "the two passphrases differ");
    const sealing = { operation: "vault.init", fields: [[FIELD.passphrase, passphrase]] as [number, string][] };
    vault.set(await askSealed<VaultStatus>("POST", "/v1/vault/init", sealing, (sealed) => ({ sealed })));
    announce("The vault is made.");
  };
  return (
    <SealingNeeded command="aileron vault init">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.run(make);
        }}
      >
        <h2>Make the vault</h2>
        <p>It keeps secrets on this machine, encrypted to a passphrase that only you know. Without the passphrase they are lost.</p>
        <Input label="New passphrase" at={first} type="password" autocomplete="new-password" required />
        <Input label="The same once more" at={again} type="password" autocomplete="new-password" required />
        <Trouble error={doing.error} />
        <button type="submit" class="primary" disabled={doing.busy}>
          {doing.busy ? "Making it …" : "Make the vault"}
        </button>
      </form>
    </SealingNeeded>
  );
}

function State({ of }: { of: VaultStatus }) {
  const doing = useDoing();
  const kind = of.state === "unlocked" ? "good" : "warn";
  return (
    <section>
      <Facts>
        <Fact name="State">
          <Badge kind={kind}>{of.state}</Badge>
        </Fact>
        {of.trouble && (
          <Fact name="Trouble">
            <Text of={of.trouble} code />
          </Fact>
        )}
        {of.entries !== undefined && <Fact name="Entries">{of.entries}</Fact>}
        {of.members !== undefined && <Fact name="Members">{of.members}</Fact>}
        {of.generation !== undefined && <Fact name="Generation">{of.generation}</Fact>}
        {of.unlocked_at && (
          <Fact name="Unlocked since">
            <Time at={of.unlocked_at} />
          </Fact>
        )}
        {of.auto_lock_ms !== undefined && <Fact name="Locks itself">{of.auto_lock_ms === 0 ? "never" : `after ${duration(of.auto_lock_ms)} without use`}</Fact>}
      </Facts>
      {of.state === "unlocked" && (
        <button
          type="button"
          disabled={doing.busy}
          onClick={() =>
            void doing.run(async () => {
              await ask("POST", "/v1/vault/lock");
              await loadVault();
              announce("The vault is locked.");
            })
          }
        >
          Lock
        </button>
      )}
      <Trouble error={doing.error} />
    </section>
  );
}

function SecretForm({ stored }: { stored: () => Promise<void> }) {
  const path = useRef<HTMLInputElement>(null);
  const type = useRef<HTMLInputElement>(null);
  const environment = useRef<HTMLInputElement>(null);
  const value = useRef<HTMLTextAreaElement>(null);
  const doing = useDoing();
  const put = async () => {
    const where = path.current!.value.trim();
    const metadata = { environment: environment.current!.value.trim(), labels: {}, type: type.current!.value.trim() };
    const secret = taken(value);
    if (secret === "") throw new ApiError(0, "missing_value", "nothing was typed");
    const sealing = { operation: "vault.put", path: where, metadata: canonical(metadata), fields: [[FIELD.value, secret]] as [number, string][] };
    await askSealed("PUT", "/v1/vault/entries/" + segment(where), sealing, (sealed) => ({ metadata, sealed }));
    path.current!.value = "";
    announce(`Stored ${where}.`);
    await stored();
  };
  return (
    <SealingNeeded command="aileron vault put PATH">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.run(put);
        }}
      >
        <h2>Store a secret</h2>
        <p class="hint">Sealed in this page to the keeper: what relays it cannot read it, and it is not shown again.</p>
        <Input label="Path" hint="user/SERVICE, agents/NAME/PURPOSE or secret/NAME" at={path} required />
        <Input label="Type" at={type} value="api_key" required />
        <Input label="Environment (optional)" at={environment} />
        <Field label="Value">{(id) => <textarea id={id} ref={value} class="secret" rows={3} required spellcheck={false} autocomplete="off" />}</Field>
        <Trouble error={doing.error} />
        <button type="submit" class="primary" disabled={doing.busy}>
          Store
        </button>
      </form>
    </SealingNeeded>
  );
}

function Entries() {
  const entries = useLoaded(() => get<{ entries: VaultEntry[]; verified: boolean }>("/v1/vault"));
  const members = useLoaded(() => get<{ members: Member[] }>("/v1/vault/members"));
  const items = entries.value?.entries ?? [];
  const reload = async () => {
    await entries.reload();
    await loadVault();
  };
  return (
    <>
      <section>
        <h2>Entries</h2>
        {entries.value?.verified === false && <Note kind="warn">Not verified: the vault is locked.</Note>}
        <Loading of={entries} empty={entries.value !== undefined && items.length === 0} />
        {items.length > 0 && (
          <Table caption="Names and metadata; values are never shown" heads={["Path", "Type", "Environment", ""]}>
            {items.map((entry) => (
              <tr key={entry.path}>
                <td>
                  <Text of={entry.path} code />
                </td>
                <td>
                  <Text of={entry.metadata.type} />
                </td>
                <td>
                  <Text of={entry.metadata.environment || "–"} />
                </td>
                <td>
                  {entry.scope === "binding" ? (
                    <a href="/bindings">binding</a>
                  ) : (
                    <Confirmed
                      label="Delete"
                      title={"Delete " + entry.path}
                      does={async () => {
                        await ask("DELETE", "/v1/vault/entries/" + segment(entry.path));
                        await reload();
                      }}
                    >
                      <p>Its value is gone for good.</p>
                    </Confirmed>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </section>
      {vault.value?.state === "unlocked" && <SecretForm stored={reload} />}
      <section>
        <h2>Who can unlock</h2>
        <Loading of={members} />
        {members.value && (
          <Table caption="Members" heads={["Name", "By", "Since"]}>
            {members.value.members.map((member) => (
              <tr key={member.name}>
                <td>
                  <Text of={member.name} />
                </td>
                <td>
                  <Text of={member.kind.replaceAll("_", " ")} />
                </td>
                <td>
                  <Time at={member.created_at} />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </section>
    </>
  );
}

export function VaultView() {
  const loaded = useLoaded(loadVault);
  const state = useVault();
  return (
    <View title="Vault">
      <Loading of={loaded} />
      {state && <State of={state} />}
      {state?.state === "missing" && !state.trouble && <InitForm />}
      {state?.state === "locked" && <UnlockForm />}
      {state && state.state !== "missing" && <Entries key={state.state} />}
    </View>
  );
}
