// All that a connector asks for: what a person consents to.
import { Codes, Hash, Text, Time } from "../text";
import type { ConnectorFull, Credential } from "../types";
import { Badge, Fact, Facts } from "../ui";

const CREDENTIAL_ROWS: [keyof Credential, string][] = [
  ["scope", "For"],
  ["header", "Header"],
  ["format", "Format"],
  ["service", "Service"],
  ["region", "Region"],
  ["access_key_id", "Key id"],
  ["username", "User"],
  ["algorithm", "Algorithm"],
  ["key_id", "Key name"],
  ["label", "Label"],
];

function CredentialFacts({ of }: { of: Credential }) {
  const oauth2 = of.oauth2;
  return (
    <>
      <Fact name="Credential">
        <Text of={of.kind} code />
      </Fact>
      {CREDENTIAL_ROWS.map(([member, label]) =>
        of[member] ? (
          <Fact key={member} name={label}>
            <Text of={String(of[member])} />
          </Fact>
        ) : null,
      )}
      {of.components && (
        <Fact name="Signed parts">
          <Codes of={of.components} none="none" />
        </Fact>
      )}
      {oauth2 && (
        <>
          {oauth2.authorize_url && (
            <Fact name="Authorize at">
              <Text of={oauth2.authorize_url} code />
            </Fact>
          )}
          <Fact name="Tokens from">
            <Text of={oauth2.token_url} code />
          </Fact>
          {oauth2.device_authorization_url && (
            <Fact name="Device codes">
              <Text of={oauth2.device_authorization_url} code />
            </Fact>
          )}
          <Fact name="Client">
            <Text of={oauth2.client_id} code />
          </Fact>
          <Fact name="Scopes">
            <Codes of={oauth2.scopes} none="none" />
          </Fact>
        </>
      )}
    </>
  );
}

export function Capabilities({ of }: { of: ConnectorFull }) {
  return (
    <>
      <p class="badges">
        {of.linked && <Badge kind="warn">linked folder: whatever it holds is run</Badge>}
        {!of.signed && <Badge kind="warn">unsigned</Badge>}
        {of.changed && <Badge kind="bad">changed since the last use</Badge>}
      </p>
      <Facts>
        <Fact name="Version">
          <Text of={of.version} />
        </Fact>
        <Fact name="Publisher">{of.publisher ? <Text of={of.publisher} /> : <span class="muted">none named</span>}</Fact>
        {of.path && (
          <Fact name="Folder">
            <Text of={of.path} code />
          </Fact>
        )}
        <Fact name="Content">
          <Hash of={of.content_hash} />
        </Fact>
        <Fact name="Linked">
          <Time at={of.linked_at} />
        </Fact>
        <Fact name="May reach">{of.any_public_host ? <strong>any public host</strong> : <Codes of={of.hosts} none="nothing" />}</Fact>
        {of.credential ? <CredentialFacts of={of.credential} /> : <Fact name="Credential">none</Fact>}
        <Fact name="Host functions">{of.imports ? <Codes of={of.imports} none="none" /> : "all"}</Fact>
        {of.spawn && (
          <>
            <Fact name="Starts">
              <Codes of={of.spawn.programs.map((program) => program.path)} none="nothing" />
            </Fact>
            <Fact name="Reads">
              <Codes of={of.spawn.fs_read} none="nothing" />
            </Fact>
            <Fact name="Writes">
              <Codes of={of.spawn.fs_write} none="nothing" />
            </Fact>
            <Fact name="Variables">
              <Codes of={[...of.spawn.env_passthrough, ...of.spawn.credential_env_keys]} none="none" />
            </Fact>
          </>
        )}
        {of.limits?.memory_bytes ? <Fact name="Memory">{of.limits.memory_bytes.toLocaleString("en")} bytes</Fact> : null}
        {of.limits?.wall_time_ms ? <Fact name="Wall time">{of.limits.wall_time_ms.toLocaleString("en")} ms</Fact> : null}
      </Facts>
    </>
  );
}
