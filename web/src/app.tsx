import { useEffect } from "preact/hooks";
import type { ComponentType } from "preact";
import { ask } from "./api";
import { approvals, startApprovals, waiting } from "./approvals";
import { useCell } from "./cell";
import { place } from "./route";
import { reachable, session, signedOut } from "./session";
import { tellSignedOut } from "./tabs";
import { Announcer, Note, Trouble, View, useDoing } from "./ui";
import { ActionsView } from "./views/actions";
import { ApprovalsView } from "./views/approvals";
import { AuditView } from "./views/audit";
import { BindingsView } from "./views/bindings";
import { DoctorView } from "./views/doctor";
import { ProcessesView } from "./views/processes";
import { RunsView } from "./views/runs";
import { SessionsView } from "./views/sessions";
import { VaultView } from "./views/vault";

// The paths stand in src/control/page.c too, which serves this page under each of them.
const VIEWS: { path: string; name: string; of: ComponentType }[] = [
  { path: "/approvals", name: "Approvals", of: ApprovalsView },
  { path: "/runs", name: "Runs", of: RunsView },
  { path: "/sessions", name: "Sessions", of: SessionsView },
  { path: "/actions", name: "Actions", of: ActionsView },
  { path: "/bindings", name: "Bindings", of: BindingsView },
  { path: "/vault", name: "Vault", of: VaultView },
  { path: "/processes", name: "Processes", of: ProcessesView },
  { path: "/audit", name: "Audit", of: AuditView },
  { path: "/doctor", name: "Doctor", of: DoctorView },
];

function current(path: string): (typeof VIEWS)[number] {
  return VIEWS.find((view) => view.path === path) ?? VIEWS[0]!;
}

function Navigation() {
  const { path } = useCell(place);
  const count = waiting(useCell(approvals)).length;
  const now = current(path);
  return (
    <nav aria-label="Views">
      <ul>
        {VIEWS.map((view) => (
          <li key={view.path}>
            <a href={view.path} aria-current={view === now ? "page" : undefined}>
              {view.name}
              {view.path === "/approvals" && count > 0 && (
                <span class="count">
                  {count}
                  <span class="unseen"> waiting</span>
                </span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function SignOut() {
  const doing = useDoing();
  return (
    <>
      <button
        type="button"
        class="small"
        disabled={doing.busy}
        onClick={() =>
          void doing.run(async () => {
            await ask("DELETE", "/v1/person/tokens/current");
            tellSignedOut();
            signedOut("You have signed out.");
          })
        }
      >
        Sign out
      </button>
      <Trouble error={doing.error} />
    </>
  );
}

function SignedOut({ why }: { why: string }) {
  const { path, query } = useCell(place);
  const focus = path === "/approvals" ? query.get("focus") : null;
  return (
    <View title="Not signed in">
      {why !== "" && <Note kind="warn">{why}</Note>}
      <p>Only the person at this machine may look and decide here. In a terminal:</p>
      <pre class="command">aileron open{focus !== null && /^[\w-]+$/.test(focus) ? " approval " + focus : ""}</pre>
      <p>It opens this page with a code that works once.</p>
    </View>
  );
}

function Signed() {
  const { path } = useCell(place);
  const state = useCell(approvals);
  const count = waiting(state).length;
  const view = current(path);
  const Shown = view.of;
  useEffect(startApprovals, []);
  useEffect(() => {
    document.title = (count > 0 ? `(${count}) ` : "") + view.name + " · Aileron";
  }, [count, view]);
  return <Shown key={view.path} />;
}

export function App() {
  const { phase, why } = useCell(session);
  const up = useCell(reachable);
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header class="top">
        <p class="brand">Aileron</p>
        {phase === "in" && <Navigation />}
        {phase === "in" && <SignOut />}
      </header>
      {phase === "in" && !up && (
        <div class="strip" role="alert">
          The daemon does not answer; this page tries again by itself. If it stays so: <code>aileron open</code>
        </div>
      )}
      <main id="content">{phase === "entering" ? <p>Signing in …</p> : phase === "out" ? <SignedOut why={why} /> : <Signed />}</main>
      <Announcer />
    </>
  );
}
