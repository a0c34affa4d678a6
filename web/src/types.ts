// What the daemon's API says (openapi.json), as far as the page reads it.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface Failure {
  class: string;
  message: string;
  boundary?: string;
  retriable?: boolean;
  details?: JsonObject;
}

export interface Caller {
  id: string;
  name: string;
}

export interface PreviewField {
  label: string;
  value?: string;
  missing?: boolean;
  multiline?: boolean;
}

export interface Preview {
  fields?: PreviewField[];
  unavailable?: string;
}

export type Effect = "read" | "write" | "destructive" | "unknown";
export type Pinned = "match" | "differs" | "unpinned";

export interface PendingStep {
  id: string;
  op: string;
  effect?: Effect;
  connector: string;
  publisher?: string;
  content_hash: string;
  pinned?: Pinned;
  linked: boolean;
  signed: boolean;
  hosts: string[];
  binding?: string;
  credential?: string;
  identity?: string;
  arguments: Json;
}

export interface Pending {
  id: string;
  kind: string;
  state: string;
  run_id: string;
  action_name: string;
  title?: string;
  connector_fqn?: string;
  args: JsonObject;
  session_id?: string;
  requested_at: string;
  expires_at?: string;
  caller: Caller;
  working_dir?: string;
  session_ended?: boolean;
  editable?: boolean;
  grantable?: boolean;
  confirm?: "none" | "passphrase";
  vault_locked?: boolean;
  preview?: Preview;
  /** the service is still to be asked for it */
  preview_awaited?: boolean;
  input_fields?: PreviewField[];
  steps?: PendingStep[];
  /** why the steps cannot be shown */
  problem?: string;
  digest?: string;
}

export interface Resolved {
  id: string;
  approved: boolean;
  state?: string;
  reason?: string;
  decided_at?: string;
}

export interface ApprovalResult {
  status: string;
  audit_id?: string;
  result?: Json;
  reason?: string;
  failure?: Failure;
}

export interface Grant {
  id: string;
  action: string;
  caller: string;
  session?: string;
  issued_at: string;
  expires_at: string;
  bound: Json;
}

export interface Attempt {
  step: string;
  attempt: number;
  connector: string;
  content_hash: string;
  op: string;
  effect?: Effect;
  binding?: string;
  started_at: string;
  ended_at?: string;
  class?: string;
}

export interface Run {
  id: string;
  state: string;
  action: string;
  action_version: string;
  action_hash: string;
  caller: Caller;
  session?: string;
  working_dir?: string;
  args: JsonObject;
  approval_id?: string;
  grant_id?: string;
  edited?: boolean;
  requested_at: string;
  expires_at?: string;
  decided_at?: string;
  claimed_at?: string;
  ended_at?: string;
  decided_by?: string;
  reason?: string;
  output?: Json;
  steps?: JsonObject;
  error?: Failure;
  audit_id?: string;
  attempts?: Attempt[];
}

export interface Session {
  id: string;
  started_at: string;
  ended_at: string | null;
  agent: string;
  working_dir: string;
  exit_code: number | null;
  status: string;
  is_agent?: boolean;
}

export interface Agent {
  id: string;
  name: string;
  kind: string;
  program?: string;
  created_at: string;
  last_used_at?: string;
  revoked_at?: string;
  session?: string;
}

export interface ActionConnector {
  name: string;
  version?: string;
  hash?: string;
  capabilities?: string[];
  hosts?: string[];
  status?: "linked" | "missing";
  any_public_host?: boolean;
  actual_hash?: string;
  pinned?: Pinned;
}

export interface ActionInput {
  name: string;
  type: string;
  items_type?: string;
  required?: boolean;
  description?: string;
  label?: string;
}

export interface ActionStep {
  id: string;
  connector: string;
  op: string;
  effect?: Effect;
  idempotent?: boolean;
  inputs?: JsonObject;
}

export interface Action {
  name: string;
  version: string;
  title?: string;
  source?: string;
  hash?: string;
  tool?: string;
  tool_problem?: string;
  linked_at?: string;
  linked?: boolean;
  signed?: boolean;
  path?: string;
  problems?: string[];
  body?: string;
  enabled: boolean;
  match?: { intent?: string };
  inputs?: ActionInput[];
  requires?: { connectors?: ActionConnector[] };
  execute?: ActionStep[];
  approval?: { required?: boolean; editable?: boolean; grants?: boolean };
}

export interface LoadError {
  class: string;
  message: string;
  file?: string;
  line?: number;
}

export interface OAuth2 {
  authorize_url?: string;
  token_url: string;
  device_authorization_url?: string;
  client_id: string;
  client_secret?: string;
  scopes: string[];
}

export interface Credential {
  kind: string;
  scope?: string;
  header?: string;
  format?: string;
  service?: string;
  region?: string;
  access_key_id?: string;
  username?: string;
  algorithm?: string;
  key_id?: string;
  label?: string;
  components?: string[];
  oauth2?: OAuth2;
}

export interface Connector {
  fqn: string;
  version: string;
  publisher?: string;
  linked: boolean;
  signed: boolean;
  path: string;
  content_hash: string;
  credential_kind?: string;
  linked_at: string;
  last_used_at?: string;
}

export interface Spawn {
  programs: { path: string; hash?: string }[];
  operations: { name: string; argv: string; description?: string }[];
  env_passthrough: string[];
  credential_env_keys: string[];
  fs_read: string[];
  fs_write: string[];
}

export interface ConnectorFull extends Connector {
  changed: boolean;
  any_public_host: boolean;
  hosts: string[];
  credential?: Credential;
  imports?: string[];
  limits?: { memory_bytes?: number; wall_time_ms?: number };
  spawn?: Spawn;
  intents?: string[];
}

export interface Binding {
  name: string;
  kind: string;
  service: string;
  identity: string;
  connector_fqn: string;
  created_at: string;
  status: string;
  verified: boolean;
  hosts: string[];
  allow_private?: string[];
  scope?: string;
  account?: string;
  access_key_id?: string;
  region?: string;
  username?: string;
  last_used_at?: string;
  last_refreshed_at?: string;
  granted_scopes?: string[];
  stale_reason?: string;
  missing_scopes?: string[];
}

export interface OAuthBegun {
  session_id: string;
  authorize_url?: string;
  redirect_uri?: string;
  user_code?: string;
  verification_uri?: string;
  verification_uri_complete?: string;
  interval?: number;
  expires_in?: number;
}

export interface OAuthPolled {
  status: "pending" | "complete";
  interval?: number;
  binding?: Binding;
}

export interface VaultStatus {
  locked: boolean;
  state: "missing" | "locked" | "unlocked";
  version?: number;
  vault_id?: string;
  generation?: number;
  entries?: number;
  members?: number;
  unlocked_at?: string;
  auto_lock_ms?: number;
  throttled_ms?: number;
  trouble?: string;
}

export interface VaultEntry {
  path: string;
  scope: string;
  generation: number;
  metadata: { type: string; environment: string; labels: { [name: string]: string } };
  verified: boolean;
}

export interface Member {
  name: string;
  kind: string;
  created_at: string;
}

export interface Confinement {
  proof: string[];
  missing?: string[];
}

export interface Process {
  role: string;
  running: boolean;
  silent?: boolean;
  pid?: number;
  restarts: number;
  started_at?: string;
  last_end?: string;
  confinement?: Confinement;
}

export interface Runner {
  pid: number;
  connector: string;
  content_hash: string;
  calls: number;
  confinement?: Confinement;
}

export interface Status {
  version: string;
  instance_id: string;
  started_at: string;
  listen_addr: string;
  state_dir: string;
  vault: VaultStatus;
  audit: { events: number; last_seq: number };
  processes: Process[];
  runners: Runner[];
}

export interface AuditRow {
  seq: number;
  prev: string;
  hash: string;
  trace_id?: string;
  event: {
    audit_id: string;
    event_type: string;
    timestamp: string;
    actor: { type: string; id: string; identity_label?: string; credential_binding?: string };
    payload: JsonObject;
  };
}

export interface Verdict {
  intact: boolean;
  origin_proven: boolean;
  events: number;
  checkpoints: number;
  first_seq: number;
  last_seq: number;
  broken_seq?: number;
  why?: string;
  note?: string;
}

export interface Check {
  name: string;
  ok: boolean;
  summary: string;
  advice?: string;
}
