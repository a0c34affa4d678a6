// What the views are made of.
import { useCallback, useEffect, useId, useRef, useState } from "preact/hooks";
import type { ComponentChildren, RefObject } from "preact";
import { ApiError } from "./api";
import { Cell, useCell } from "./cell";
import { visible } from "./text";

// ---------------------------------------------------------------------------------------------------------- announcing

const said = new Cell("");
let forgetting: ReturnType<typeof setTimeout> | undefined;

/** For who does not see the page: said once, politely. */
export function announce(text: string): void {
  said.set("");
  clearTimeout(forgetting);
  setTimeout(() => said.set(text), 30);
  forgetting = setTimeout(() => said.set(""), 10_000);
}

export function Announcer() {
  const text = useCell(said);
  return (
    <p class="unseen" role="status" aria-live="polite">
      {text}
    </p>
  );
}

// ------------------------------------------------------------------------------------------------------------- loading

export interface Loaded<T> {
  value: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  reload: () => Promise<void>;
}

export function asError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "page_error", (error as Error)?.message ?? String(error));
}

/** Asks when it appears and when what it depends on changes; an answer that comes too late is dropped. */
export function useLoaded<T>(load: () => Promise<T>, on: unknown[] = []): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "reload">>({ value: undefined, error: undefined, loading: true });
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    setState((old) => ({ ...old, loading: true }));
    try {
      const value = await load();
      if (mine === turn.current) setState({ value, error: undefined, loading: false });
    } catch (error) {
      if (mine === turn.current) setState((old) => ({ ...old, error: asError(error), loading: false }));
    }
  }, on);
  useEffect(() => {
    void reload();
    return () => {
      turn.current++;
    };
  }, [reload]);
  return { ...state, reload };
}

/** Something that is done at a click: one at a time, and its failure is kept to be shown. */
export function useDoing(): { busy: boolean; error: ApiError | undefined; run: (what: () => Promise<void>) => Promise<boolean>; clear: () => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | undefined>();
  const under = useRef(false);
  const run = useCallback(async (what: () => Promise<void>) => {
    if (under.current) return false;
    under.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await what();
      return true;
    } catch (failure) {
      setError(asError(failure));
      return false;
    } finally {
      under.current = false;
      setBusy(false);
    }
  }, []);
  return { busy, error, run, clear: () => setError(undefined) };
}

/** The time, again every so often. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

// -------------------------------------------------------------------------------------------------------------- pieces

export function Trouble({ error }: { error: ApiError | undefined }) {
  if (error === undefined) return null;
  return (
    <p class="note bad" role="alert">
      {visible(error.message, false)}
    </p>
  );
}

export function Note({ kind, children }: { kind?: "good" | "bad" | "warn"; children: ComponentChildren }) {
  return <div class={"note " + (kind ?? "")}>{children}</div>;
}

export function Badge({ kind, children }: { kind?: "good" | "bad" | "warn"; children: ComponentChildren }) {
  return <span class={"badge " + (kind ?? "")}>{children}</span>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

/** The heading of a view takes the focus when the view is entered, so that reading begins there. */
export function View({ title, children, actions }: { title: string; children: ComponentChildren; actions?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [title]);
  return (
    <>
      <div class="view-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <div class="buttons">{actions}</div>
      </div>
      {children}
    </>
  );
}

export function Loading({ of, empty }: { of: Loaded<unknown>; empty?: boolean }) {
  if (of.error !== undefined) return <Trouble error={of.error} />;
  if (of.value === undefined) return <p class="muted">Loading …</p>;
  return empty ? <p class="muted">There is nothing here yet.</p> : null;
}

/** A table of its own width that scrolls sideways by itself, never the page. */
export function Table({ caption, heads, children }: { caption: string; heads: string[]; children: ComponentChildren }) {
  return (
    <div class="table" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {heads.map((head) => (
              <th scope="col" key={head}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  children: (id: string, hintId: string | undefined) => ComponentChildren;
}

export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, hint === undefined ? undefined : id + "-hint")}
      {hint !== undefined && (
        <p class="hint" id={id + "-hint"}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface InputProps {
  label: string;
  hint?: string;
  at: RefObject<HTMLInputElement | null>;
  type?: "text" | "password" | "search" | "file";
  value?: string;
  autocomplete?: string;
  required?: boolean;
  pattern?: string;
  disabled?: boolean;
}

/** What is typed stays in the element, so that a secret is in no state of ours. */
export function Input({ label, hint, at, type = "text", value, autocomplete = "off", ...more }: InputProps) {
  return (
    <Field label={label} {...(hint === undefined ? {} : { hint })}>
      {(id, hintId) => (
        <input
          id={id}
          ref={at}
          type={type as "text"}
          defaultValue={value ?? ""}
          autocomplete={autocomplete as "off"}
          autocapitalize="off"
          spellcheck={false}
          aria-describedby={hintId}
          {...more}
        />
      )}
    </Field>
  );
}

/** The value of an input that is emptied by reading it. */
export function taken(at: RefObject<HTMLInputElement | HTMLTextAreaElement | null>): string {
  const value = at.current?.value ?? "";
  if (at.current !== null) at.current.value = "";
  return value;
}

/** Asks before what cannot be undone. Escape is no; the focus goes back to where it was. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const at = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    at.current?.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return (
    <dialog ref={at} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  label: string;
  title: string;
  children: ComponentChildren;
  does: () => Promise<void>;
  disabled?: boolean;
}

/** A button whose deed is asked for once more. */
export function Confirmed({ label, title, children, does, disabled }: ConfirmProps) {
  const [open, setOpen] = useState(false);
  const doing = useDoing();
  return (
    <>
      <button type="button" class="small" disabled={disabled} onClick={() => setOpen(true)} aria-label={title}>
        {label}
      </button>
      {open && (
        <Dialog title={title} onClose={() => setOpen(false)}>
          {children}
          <Trouble error={doing.error} />
          <div class="buttons">
            <button type="button" class="danger" disabled={doing.busy} onClick={async () => (await doing.run(does)) && setOpen(false)}>
              {label}
            </button>
            <button type="button" onClick={() => setOpen(false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
