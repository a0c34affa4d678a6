// The vault as every view needs it: whether it is open, and the passphrase that opens it.
import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren, RefObject } from "preact";
import { ApiError, get } from "./api";
import type { Bytes } from "./bytes";
import { Cell, useCell } from "./cell";
import { FIELD, askSealed, canSeal, type SealedField } from "./sealing";
import { Text } from "./text";
import type { VaultStatus } from "./types";
import { Input, Note, Trouble, announce, taken, useDoing, useLoaded } from "./ui";

export const vault = new Cell<VaultStatus | undefined>(undefined);

export async function loadVault(): Promise<VaultStatus> {
  const status = await get<VaultStatus>("/v1/vault/status");
  vault.set(status);
  return status;
}

export function useVault(): VaultStatus | undefined {
  return useCell(vault);
}

/** What a browser without X25519 is told. */
export function SealingNeeded({ command, children }: { command: string; children: ComponentChildren }) {
  const can = useLoaded(canSeal);
  if (can.value === undefined) return null;
  if (can.value) return <>{children}</>;
  return (
    <Note kind="warn">
      This browser cannot seal secrets (it lacks X25519), so none are typed here. In a terminal: <Text of={command} code />
    </Note>
  );
}

const KEY_FILE_BYTES = 32;

async function keyFileOf(at: RefObject<HTMLInputElement | null>): Promise<Bytes> {
  const file = at.current?.files?.[0];
  if (file?.size !== KEY_FILE_BYTES) throw new ApiError(0, "no_key_file", `a key file has ${KEY_FILE_BYTES} bytes`);
  return new Uint8Array(await file.arrayBuffer());
}

export function UnlockForm({ done }: { done?: () => void }) {
  const passphrase = useRef<HTMLInputElement>(null);
  const keyFile = useRef<HTMLInputElement>(null);
  const [byFile, setByFile] = useState(false);
  const doing = useDoing();
  const unlock = async () => {
    const fields: SealedField[] = [byFile ? [FIELD.keyFile, await keyFileOf(keyFile)] : [FIELD.passphrase, taken(passphrase)]];
    const sealing = { operation: "vault.unlock", metadata: '{"blob":""}', fields };
    vault.set(await askSealed<VaultStatus>("POST", "/v1/vault/unlock", sealing, (sealed) => ({ sealed })));
    announce("The vault is unlocked.");
    done?.();
  };
  return (
    <SealingNeeded command="aileron vault unlock">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.run(unlock);
        }}
      >
        {byFile ? (
          <Input key="file" label="Key file of the vault" hint="It stays here: what is in it is sealed in this page to the keeper." at={keyFile} type="file" required />
        ) : (
          <Input key="passphrase" label="Passphrase of the vault" at={passphrase} type="password" autocomplete="current-password" required />
        )}
        <Trouble error={doing.error} />
        {doing.error?.code === "vault_rolled_back" && (
          <p>
            To accept the older file: <code>aileron vault unlock --accept-rollback</code>
          </p>
        )}
        <div class="buttons">
          <button type="submit" class="primary" disabled={doing.busy}>
            {doing.busy ? "Unlocking …" : "Unlock"}
          </button>
          <button type="button" class="small" onClick={() => setByFile(!byFile)}>
            {byFile ? "With the passphrase instead" : "With a key file instead"}
          </button>
        </div>
      </form>
    </SealingNeeded>
  );
}

/** What stands still while the vault is locked, with the way to unlock it; nothing once it is not. */
export function VaultNeeded({ children, done }: { children: ComponentChildren; done?: () => void }) {
  const known = useVault();
  useEffect(() => void loadVault().catch(() => {}), []);
  if (known === undefined || known.state === "unlocked") return null;
  return (
    <Note kind="warn">
      <p>{children}</p>
      <UnlockForm {...(done ? { done } : {})} />
    </Note>
  );
}
