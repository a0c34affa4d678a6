// The page of `aileron open`. Whatever the daemon says is put into the page as text, never as markup.
"use strict";

const TOKEN = "aileron.token";
const REVISION = "1";
const SHOWN_EVENTS = 50;

const byId = (id) => document.getElementById(id);

function say(text) {
	byId("message").textContent = text;
}

function element(name, text) {
	const made = document.createElement(name);
	if (text !== undefined)
		made.textContent = String(text);
	return made;
}

async function ask(method, path, body) {
	const headers = {"X-Aileron-Api": REVISION};
	const token = sessionStorage.getItem(TOKEN);
	if (token !== null)
		headers["Authorization"] = "Bearer " + token;
	if (body !== undefined)
		headers["Content-Type"] = "application/json";
	const answer = await fetch(path, {
		method: method,
		headers: headers,
		body: body === undefined ? undefined : JSON.stringify(body),
		cache: "no-store",
		credentials: "omit",
		redirect: "error",
	});
	if (answer.status === 204)
		return null;
	const value = await answer.json();
	if (!answer.ok) {
		const failure = new Error(value.error ? value.error.message : "the daemon answered " + answer.status);
		failure.status = answer.status;
		throw failure;
	}
	return value;
}

// The code is good once; it leaves the address bar and the history before it is used.
async function enter() {
	const code = new URLSearchParams(location.hash.slice(1)).get("code");
	history.replaceState(null, "", location.pathname);
	if (code === null)
		return;
	sessionStorage.removeItem(TOKEN);
	const issued = await ask("POST", "/v1/person/tokens", {code: code});
	sessionStorage.setItem(TOKEN, issued.token);
}

function showVault(vault) {
	const rows = [["State", vault.state]];
	if (vault.trouble)
		rows.push(["Trouble", vault.trouble]);
	if (vault.entries !== undefined)
		rows.push(["Entries", vault.entries]);
	if (vault.members !== undefined)
		rows.push(["Members", vault.members]);
	if (vault.unlocked_at)
		rows.push(["Unlocked since", vault.unlocked_at]);
	const list = byId("vault");
	list.replaceChildren();
	for (const [name, value] of rows)
		list.append(element("dt", name), element("dd", value));
}

function proofOf(confinement) {
	if (!confinement)
		return element("span", "none yet");
	const details = element("details");
	const missing = confinement.missing || [];
	details.append(element("summary", missing.length === 0 ? "confined" : "without " + missing.join(", ")));
	details.append(element("pre", confinement.proof.join("\n")));
	return details;
}

function row(cells) {
	const made = element("tr");
	for (const cell of cells) {
		const td = element("td");
		td.append(cell instanceof Node ? cell : String(cell));
		made.append(td);
	}
	return made;
}

function showProcesses(status) {
	const rows = status.processes.map((p) => row([
		p.role,
		p.running ? "running, " + p.pid : "not running" + (p.last_end ? ": " + p.last_end : ""),
		p.restarts,
		proofOf(p.confinement),
	]));
	for (const r of status.runners)
		rows.push(row(["runner of " + r.connector, "running, " + r.pid, "", proofOf(r.confinement)]));
	byId("processes").replaceChildren(...rows);
}

function aboutOf(payload) {
	const names = ["aileron.connector.fqn", "aileron.binding.name", "aileron.vault.path", "aileron.failure.class",
		"aileron.process.role", "aileron.reason"];
	return names.filter((name) => name in payload).map((name) => payload[name]).join(", ");
}

function showEvents(events) {
	byId("events").replaceChildren(...events.map((one) => row([
		one.seq,
		one.event.timestamp,
		one.event.event_type,
		one.event.actor.id,
		aboutOf(one.event.payload),
	])));
}

async function refresh() {
	const [status, audit] = await Promise.all([
		ask("GET", "/v1/status"),
		ask("GET", "/v1/audit?limit=" + SHOWN_EVENTS),
	]);
	showVault(status.vault);
	showProcesses(status);
	showEvents(audit.events);
	byId("content").hidden = false;
	say("Version " + status.version + ", " + status.listen_addr);
}

function fail(failure) {
	if (failure.status === 401) {
		sessionStorage.removeItem(TOKEN);
		byId("content").hidden = true;
		say("This page is not signed in. Run `aileron open` in a terminal.");
	} else {
		say(failure.message);
	}
}

async function leave() {
	await ask("DELETE", "/v1/person/tokens/current");
	sessionStorage.removeItem(TOKEN);
	byId("content").hidden = true;
	say("Signed out. Run `aileron open` to come back.");
}

byId("refresh").addEventListener("click", () => refresh().catch(fail));
byId("leave").addEventListener("click", () => leave().catch(fail));
enter().then(refresh).catch(fail);
