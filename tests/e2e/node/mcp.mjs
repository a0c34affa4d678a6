// The official TypeScript SDK as a client: node mcp.mjs '{"sdk": "v1" | "v2", "door": "stdio" | "http", …}'
// Lines of JSON: a step of the test comes in ({"do": "list" | "call", …}), what the SDK made of it goes out.
import readline from "node:readline";

const how = JSON.parse(process.argv[2]);
const info = { name: `typescript-${how.sdk}`, version: "1" };

async function load() {
	if (how.sdk === "v1") {
		const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
		const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
		const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
		return { client: new Client(info), StdioClientTransport, StreamableHTTPClientTransport };
	}
	const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
	const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
	const options = how.mode ? { versionNegotiation: { mode: how.mode } } : {};
	return { client: new Client(info, options), StdioClientTransport, StreamableHTTPClientTransport };
}

const { client, StdioClientTransport, StreamableHTTPClientTransport } = await load();
const transport = how.door === "stdio"
	? new StdioClientTransport({ command: how.command, args: how.args, env: how.env, stderr: "ignore" })
	: new StreamableHTTPClientTransport(new URL(how.url), { requestInit: { headers: { Authorization: `Bearer ${how.token}` } } });

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const steps = {
	list: async () => (await client.listTools()).tools,
	call: async ({ name, arguments: given }) => client.callTool({ name, arguments: given }),
};

try {
	await client.connect(transport);
	say({ server: client.getServerVersion(), capabilities: client.getServerCapabilities() });
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const step = JSON.parse(line);
		say({ result: await steps[step.do](step) });
	}
	await client.close();
} catch (error) {
	say({ error: String(error?.stack ?? error) });
	process.exitCode = 1;
}
