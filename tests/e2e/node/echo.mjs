// An echo server of the official TypeScript SDK over standard input and output: the peer of bench/bench_action.c.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const server = new McpServer({ name: "echo", version: "1" });
server.registerTool("look", { description: "Says again what it is given.", inputSchema: { text: z.string() } },
	async ({ text }) => ({ content: [{ type: "text", text }] }));
await server.connect(new StdioServerTransport());
