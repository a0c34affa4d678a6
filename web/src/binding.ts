// What a binding's metadata and consent say, made as control and the command line make them.
import { ApiError, ask } from "./api";
import { sha256, toBase64Url, utf8 } from "./bytes";
import { byBytes, canonical } from "./canonical";
import { FIELD, askSealed, type SealedField, type Sealing } from "./sealing";
import type { Binding, ConnectorFull, Json, OAuthBegun, OAuthPolled } from "./types";

export interface BindingFields {
  kind: string;
  connector_fqn: string;
  service: string;
  identity: string;
  account: string;
  access_key_id: string;
  region: string;
  username: string;
  scope: string;
}

/** The repository of the connector's name, else its owner. */
export function serviceOf(fqn: string): string {
  const parts = fqn.replace(/^[a-z]+:\/\//, "").split("/");
  return (parts[1] ?? parts[0] ?? "").toLowerCase();
}

const nameOf = (fields: BindingFields): string => [fields.kind, fields.service, fields.identity].join("/");

function given(texts: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).filter(([, value]) => value)) as Record<string, string>;
}

function metadataOf(fields: BindingFields): string {
  const { kind, ...labels } = fields;
  return canonical({ environment: "", labels: given(labels), type: kind });
}

const sorted = (list: string[]): string[] => [...new Set(list)].sort(byBytes);

export function consentOf(connector: ConnectorFull, allowPrivate: string[]): string {
  const oauth2 = connector.credential?.oauth2;
  const consent: { [name: string]: Json } = given({
    authorize_url: oauth2?.authorize_url,
    client_id: oauth2?.client_id,
    client_secret: oauth2?.client_secret,
    device_authorization_url: oauth2?.device_authorization_url,
    token_url: oauth2?.token_url,
  });
  consent["hosts"] = connector.any_public_host ? ["*"] : sorted(connector.hosts);
  if (allowPrivate.length > 0) consent["allow_private"] = sorted(allowPrivate.map((host) => host.toLowerCase()));
  if (oauth2 && oauth2.scopes.length > 0) consent["scopes"] = sorted(oauth2.scopes);
  return canonical(consent);
}

function sealingOf(operation: string, fields: BindingFields, secret: SealedField, consent: string): Sealing {
  return { operation, path: nameOf(fields), metadata: metadataOf(fields), fields: [secret, [FIELD.consent, consent]] };
}

function sourceOf(fields: BindingFields, sealed: string): object {
  const { kind, access_key_id, region, username } = fields;
  return { ...given({ kind, access_key_id, region, username }), sealed };
}

export async function setUp(fields: BindingFields, value: string, consent: string): Promise<void> {
  const { connector_fqn, identity, service, account } = fields;
  await askSealed("POST", "/v1/bindings/setup", sealingOf("vault.put", fields, [FIELD.value, value], consent), (sealed) => ({
    connector_fqn,
    skip_existing: false,
    bindings: [{ identity, ...given({ service, account }), source: sourceOf(fields, sealed) }],
  }));
}

export async function rebind(fields: BindingFields, value: string, consent: string): Promise<void> {
  const path = `/v1/bindings/${encodeURIComponent(nameOf(fields))}/rebind`;
  await askSealed("POST", path, sealingOf("vault.put", fields, [FIELD.value, value], consent), (sealed) => ({ source: sourceOf(fields, sealed) }));
}

/** What a binding that is there says of itself. */
export function fieldsOf(binding: Binding): BindingFields {
  return {
    kind: binding.kind,
    connector_fqn: binding.connector_fqn,
    service: binding.service,
    identity: binding.identity,
    account: binding.account ?? "",
    access_key_id: binding.access_key_id ?? "",
    region: binding.region ?? "",
    username: binding.username ?? "",
    scope: binding.scope ?? "",
  };
}

// ------------------------------------------------------------------------------------------------------------- OAuth 2

async function challengeOf(verifier: string): Promise<string> {
  return toBase64Url(await sha256(utf8(verifier)));
}

/** The address must be the connector's own endpoint, with our challenge: else the code would be of use to somebody else. */
function checkAddress(begun: OAuthBegun, endpoint: string, challenge: string): string {
  const address = begun.authorize_url ?? "";
  const said = URL.canParse(address) ? new URL(address) : undefined;
  const own = /^https?:$/.test(said?.protocol ?? "") && address.startsWith(endpoint + (endpoint.includes("?") ? "&" : "?"));
  const fits = said?.searchParams.get("code_challenge") === challenge && said.searchParams.get("code_challenge_method") === "S256";
  if (!own || !fits) throw new ApiError(0, "protocol_error", "the address that the daemon made is not at the connector's endpoint");
  return address;
}

interface Beginning {
  connector: ConnectorFull;
  fields: BindingFields;
  consent: string;
  /** the binding is there */
  again: boolean;
}

function begin({ connector, fields, consent, again }: Beginning, secret: SealedField, more: object): Promise<OAuthBegun> {
  const whole = { ...fields, scope: connector.credential!.oauth2!.scopes.join(" ") };
  const { connector_fqn, identity, service, account } = fields;
  return askSealed<OAuthBegun>("POST", "/v1/bindings/setup/oauth2/init", sealingOf("oauth.ticket", whole, secret, consent), (sealed) => ({
    connector_fqn,
    identity,
    ...given({ service, account }),
    ...(again ? { purpose: "reauthorize" } : {}),
    ...more,
    sealed,
  }));
}

/** Where the browser has to go; it comes back to the view of bindings. */
export async function beginOAuth(beginning: Beginning): Promise<string> {
  const endpoint = beginning.connector.credential?.oauth2?.authorize_url;
  if (!endpoint) throw new ApiError(0, "no_browser_flow", "this connector has no address for a browser");
  const verifier = toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
  const challenge = await challengeOf(verifier);
  const more = { caller: "daemon", return_to: location.origin + "/bindings", flow: "code", code_challenge: challenge };
  return checkAddress(await begin(beginning, [FIELD.verifier, verifier], more), endpoint, challenge);
}

/** There is no verifier to be sealed: the passphrase says that a person consents. */
export function beginDevice(beginning: Beginning, passphrase: string): Promise<OAuthBegun> {
  return begin(beginning, [FIELD.passphrase, passphrase], { flow: "device" });
}

const POLL_S_MAX = 60;

/** Asks until somebody has typed the code, elsewhere. Null when nobody waits for that any more. */
export async function awaitDevice(begun: OAuthBegun, quit: AbortSignal): Promise<Binding | null> {
  const end = Date.now() + (begun.expires_in || 900) * 1000;
  for (let interval = begun.interval || 5; Date.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(interval, POLL_S_MAX) * 1000));
    if (quit.aborted) return null;
    const said = await ask<OAuthPolled>("POST", "/v1/bindings/setup/oauth2/poll", { session_id: begun.session_id });
    if (said.binding !== undefined) return said.binding;
    interval = said.interval || interval;
  }
  throw new ApiError(0, "approval_timeout", "nobody typed the code in time");
}

export async function revoke(name: string): Promise<void> {
  await ask("DELETE", "/v1/bindings/" + encodeURIComponent(name));
}
