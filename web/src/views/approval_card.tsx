// One thing that an agent wants done, with all that a person needs to say yes or no.
import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { decide, type Decision, type Entry, type Outcome } from "../approvals";
import { Hash, Hosts, LongText, Members, Text, Value, duration } from "../text";
import type { Effect, Json, JsonObject, Pending, PendingStep, Pinned, Preview, PreviewField } from "../types";
import { Badge, Dialog, Fact, Facts, Field, Input, Note, Trouble, announce, taken, useDoing, useNow } from "../ui";
import { VaultNeeded, loadVault, useVault } from "../vault_state";
import { ApiError } from "../api";

const EFFECT: Record<Effect, string> = {
  read: "reads",
  write: "changes something",
  destructive: "changes something, and may destroy it",
  unknown: "may change or destroy something",
};

export function effectText(effect: Effect | undefined): string {
  return EFFECT[effect ?? "unknown"];
}

function StepSentence({ step }: { step: PendingStep }) {
  return (
    <>
      Runs <Text of={step.op} code /> of <Text of={step.connector} />, which {effectText(step.effect)}
      {" at "}
      <Hosts of={step.hosts} />
      {step.identity || step.binding ? (
        <>
          , as{" "}
          <strong>
            <Text of={step.identity || step.binding} />
          </strong>
        </>
      ) : (
        ", without a credential"
      )}
      .
    </>
  );
}

const PINNED: Record<Pinned, string> = {
  match: "the one that the action pins",
  differs: "not the one that the action pins",
  unpinned: "the action pins none",
};

export function Pin({ of }: { of: Pinned | undefined }) {
  return of === undefined ? null : <Badge kind={of === "match" ? "good" : "warn"}>{PINNED[of]}</Badge>;
}

function Origin({ step }: { step: PendingStep }) {
  return (
    <>
      <Facts>
        <Fact name="Publisher">{step.publisher ? <Text of={step.publisher} /> : <span class="muted">none named</span>}</Fact>
        <Fact name="Content">
          <Hash of={step.content_hash} /> <Pin of={step.pinned} />
        </Fact>
        <Fact name="Credential">{step.binding ? <Text of={step.binding} code /> : <span class="muted">none</span>}</Fact>
      </Facts>
      <details>
        <summary>
          What step <Text of={step.id} code /> is given
        </summary>
        <Members of={step.arguments} none="Nothing." />
      </details>
    </>
  );
}

function LabelledFields({ fields }: { fields: PreviewField[] }) {
  return (
    <dl class="facts exact">
      {fields.map((field, i) => (
        <div key={i}>
          <dt>
            <Text of={field.label} />
          </dt>
          <dd>{field.missing || field.value === undefined ? <span class="muted">n/a</span> : <LongText of={field.value} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function PreviewBlock({ preview, awaited }: { preview: Preview | undefined; awaited: boolean }) {
  return (
    <section class="quoted" aria-label="Preview">
      <h4>Preview, as the service has it</h4>
      {preview?.fields && <LabelledFields fields={preview.fields} />}
      {preview?.unavailable && (
        <p>
          Preview unavailable: <Text of={preview.unavailable} />
        </p>
      )}
      {awaited && <p role="status">Not fetched yet: the service is still to be asked for it.</p>}
    </section>
  );
}

function Asker({ of }: { of: Pending }) {
  const now = useNow(1000);
  const left = of.expires_at ? Date.parse(of.expires_at) - now : undefined;
  return (
    <Facts>
      <Fact name="Who asks">
        <strong>
          <Text of={of.caller.name || of.caller.id} />
        </strong>
        {of.session_ended && <> <Badge kind="warn">its session has ended</Badge></>}
      </Fact>
      <Fact name="Session">{of.session_id ? <Text of={of.session_id} code /> : <span class="muted">none</span>}</Fact>
      <Fact name="Folder">{of.working_dir ? <Text of={of.working_dir} code /> : <span class="muted">not known</span>}</Fact>
      <Fact name="Waiting">
        for {duration(now - Date.parse(of.requested_at))}
        {left !== undefined && (left > 0 ? <>; expires in {duration(left)}</> : "; its time is over")}
      </Fact>
    </Facts>
  );
}

/** The daemon gives what came of a run as a text of JSON. */
function outputOf(result: Json): Json {
  if (typeof result !== "string") return result;
  try {
    const value = JSON.parse(result) as Json;
    return typeof value === "object" && value !== null && !Array.isArray(value) && "output" in value ? value["output"]! : value;
  } catch {
    return result;
  }
}

function Outcomes({ of }: { of: Outcome }) {
  const status = of.result?.status;
  const word = of.approved === undefined ? "No longer pending" : of.approved ? "Approved" : "Denied";
  const by = of.mine ? "by you, here" : of.approved === undefined ? "" : "elsewhere, not by this page";
  const good = status === "completed";
  const wrong = status !== undefined && ["failed", "refused", "outcome_unknown", "expired"].includes(status);
  return (
    <div class={"note " + (good ? "good" : wrong ? "bad" : "")} role="status">
      <strong>
        {word} {by}
      </strong>
      {of.reason && (
        <>
          : <Text of={of.reason} />
        </>
      )}
      {status !== undefined && (
        <p>
          It is now: <Badge kind={good ? "good" : wrong ? "bad" : "warn"}><Text of={status.replaceAll("_", " ")} /></Badge>
        </p>
      )}
      {status === "awaiting_vault" && <VaultNeeded>It runs when the vault is unlocked, within 15 minutes, and is refused after that.</VaultNeeded>}
      {of.result?.reason && of.result.reason !== of.reason && (
        <p>
          <Text of={of.result.reason} />
        </p>
      )}
      {of.result?.failure && (
        <p>
          <Text of={of.result.failure.class} code /> <Text of={of.result.failure.message} />
        </p>
      )}
      {of.result?.result !== undefined && (
        <details>
          <summary>Result</summary>
          <Value of={outputOf(of.result.result)} />
        </details>
      )}
    </div>
  );
}

interface EditProps {
  pending: Pending;
  at: RefObject<HTMLTextAreaElement | null>;
}

function Editor({ pending, at }: EditProps) {
  return (
    <Field label="Arguments, as JSON" hint="What you approve is this text. It is checked against the action's inputs.">
      {(id, hint) => <textarea id={id} ref={at} rows={8} spellcheck={false} aria-describedby={hint} defaultValue={JSON.stringify(pending.args, null, 2)} />}
    </Field>
  );
}

function edited(at: RefObject<HTMLTextAreaElement | null>, before: JsonObject): JsonObject | undefined {
  if (at.current === null) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(at.current.value);
  } catch (error) {
    throw new ApiError(0, "invalid_json", "the arguments are no JSON: " + (error as Error).message);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ApiError(0, "invalid_json", "the arguments must be one object");
  return JSON.stringify(value) === JSON.stringify(before) ? undefined : (value as JsonObject);
}

function GrantDialog({ pending, close, grant, error }: { pending: Pending; close: () => void; grant: () => void; error: ApiError | undefined }) {
  const hosts = [...new Set((pending.steps ?? []).flatMap((step) => step.hosts))];
  return (
    <Dialog title="Approve, and stop asking for 15 minutes?" onClose={close}>
      <p>For 15 minutes the same caller may run this action again without asking you:</p>
      <ul>
        <li>
          only <strong><Text of={pending.caller.name || pending.caller.id} /></strong>, in its present session
        </li>
        <li>
          only <Text of={pending.action_name} code />, as its file and its connectors are now
        </li>
        <li>only with the credentials that are named here{hosts.length > 0 && <>, and only at <Hosts of={hosts} /></>}</li>
        <li>
          with <strong>any arguments</strong> that the action takes, not only these
        </li>
      </ul>
      <p>It ends earlier when the vault locks, the session ends, or the daemon restarts, and you can revoke it. Each run is on record.</p>
      <Trouble error={error} />
      <div class="buttons">
        <button type="button" class="danger" onClick={grant}>
          Approve and allow for 15 minutes
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

function Deciding({ pending, lock }: { pending: Pending; lock: (is: boolean) => void }) {
  const reason = useRef<HTMLInputElement>(null);
  const passphrase = useRef<HTMLInputElement>(null);
  const text = useRef<HTMLTextAreaElement>(null);
  const doing = useDoing();
  const [editing, setEditing] = useState(false);
  const [granting, setGranting] = useState(false);
  const vaultNow = useVault();
  const locked = doing.error?.code === "vault_locked";
  useEffect(() => {
    lock(locked);
    if (locked) void loadVault().catch(() => {});
  }, [locked]);
  const confirmed = pending.confirm === "passphrase";

  const say = (approved: boolean, grant: boolean) =>
    doing.run(async () => {
      const decision: Decision = { approved };
      const why = reason.current?.value.trim() ?? "";
      if (!approved && why !== "") decision.reason = why;
      const change = approved ? edited(text, pending.args) : undefined;
      if (change !== undefined) decision.edited_payload = change;
      if (grant) decision.grant = true;
      const proof = approved && confirmed ? taken(passphrase) : undefined;
      if (proof === "") throw new ApiError(0, "missing_passphrase", "type the passphrase to confirm");
      await decide(pending, decision, proof);
      document.getElementById("card-" + pending.id)?.focus();
      announce(approved ? `Approved ${pending.action_name}.` : `Denied ${pending.action_name}.`);
    });

  return (
    <form
      class="deciding"
      onSubmit={(event) => {
        event.preventDefault();
        void say(true, false);
      }}
    >
      {pending.editable &&
        (editing ? (
          <Editor pending={pending} at={text} />
        ) : (
          <button type="button" class="small" onClick={() => setEditing(true)}>
            Edit arguments
          </button>
        ))}
      {confirmed && <Input label="Passphrase, to confirm an approval" at={passphrase} type="password" autocomplete="current-password" />}
      <Field label="Reason for a denial (the agent is told)">
        {(id) => (
          <input
            id={id}
            ref={reason}
            class="reason"
            maxLength={500}
            autocomplete="off"
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              void say(false, false);
            }}
          />
        )}
      </Field>
      {!(locked && (vaultNow?.state === "locked" || vaultNow?.state === "missing")) && <Trouble error={doing.error} />}
      <div class="buttons">
        <button type="submit" class="primary approve" disabled={doing.busy}>
          {editing ? "Approve as edited" : "Approve"}
        </button>
        <button type="button" class="danger deny" disabled={doing.busy} onClick={() => void say(false, false)}>
          Deny
        </button>
        {pending.grantable && (
          <button type="button" disabled={doing.busy} onClick={() => setGranting(true)}>
            Approve for 15 minutes …
          </button>
        )}
      </div>
      {granting && (
        <GrantDialog
          pending={pending}
          close={() => setGranting(false)}
          error={doing.error}
          grant={async () => {
            if (await say(true, true)) setGranting(false);
          }}
        />
      )}
    </form>
  );
}

export function ApprovalCard({ entry, focused, selected, select }: { entry: Entry; focused: boolean; selected: boolean; select: () => void }) {
  const { pending, outcome } = entry;
  const [lockedOut, lockOut] = useState(false);
  const steps = pending.steps ?? [];
  const unsigned = steps.some((step) => !step.signed);
  const linked = steps.some((step) => step.linked);
  return (
    <article
      class={"card" + (focused ? " ring" : "") + (selected ? " selected" : "") + (outcome ? " over" : "")}
      id={"card-" + pending.id}
      aria-label={"Approval of " + pending.action_name}
      aria-current={selected}
      tabIndex={-1}
      onFocusCapture={select}
    >
      <header>
        <h2>
          <Text of={pending.title || pending.action_name} />
        </h2>
        <p class="badges">
          <Text of={pending.action_name} code />
          {linked && <Badge kind="warn">linked folder</Badge>}
          {unsigned && <Badge kind="warn">unsigned</Badge>}
        </p>
      </header>
      <Asker of={pending} />
      <h3>What will happen</h3>
      {pending.problem && (
        <Note kind="bad">
          It cannot be shown what this would do: <Text of={pending.problem} />
        </Note>
      )}
      {steps.length === 0 ? (
        <p>
          Runs the action <Text of={pending.action_name} code />
          {pending.connector_fqn && <> on <Text of={pending.connector_fqn} /></>}.
        </p>
      ) : (
        <ol class="steps">
          {steps.map((step) => (
            <li key={step.id}>
              <StepSentence step={step} />
              <Origin step={step} />
            </li>
          ))}
        </ol>
      )}
      {(pending.preview || pending.preview_awaited) && <PreviewBlock preview={pending.preview} awaited={pending.preview_awaited === true} />}
      {pending.input_fields && pending.input_fields.length > 0 && (
        <>
          <h3>What was asked for</h3>
          <LabelledFields fields={pending.input_fields} />
        </>
      )}
      <h3>Exact arguments</h3>
      <Members of={pending.args} none="None." />
      {pending.digest && (
        <p class="muted">
          A yes is bound to <Hash of={pending.digest} />
        </p>
      )}
      {outcome ? (
        <Outcomes of={outcome} />
      ) : (
        <>
          {(lockedOut || pending.vault_locked) && (
            <VaultNeeded>The vault is locked: this cannot run until it is unlocked, and goes on waiting meanwhile. Unlock it, then approve.</VaultNeeded>
          )}
          <Deciding pending={pending} lock={lockOut} />
        </>
      )}
    </article>
  );
}
