// The vault as every view needs it: whether it is open, and the passphrase that opens it.
import { useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { get } from "./api";
import { Cell, useCell } from "./cell";
import { FIELD, askSealed, canSeal } from "./sealing";
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

export function UnlockForm({ done }: { done?: () => void }) {
  const passphrase = useRef<HTMLInputElement>(null);
  const doing = useDoing();
  const unlock = async () => {
    const fields: [number, string][] = [[FIELD.passphrase, taken(passphrase)]];
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
        <Input
          label="Passphrase of the vault"
          hint="With a key file instead: aileron vault unlock --key-file FILE"
          at={passphrase}
          type="password"
          autocomplete="current-password"
          required
        />
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
        </div>
      </form>
    </SealingNeeded>
  );
}
