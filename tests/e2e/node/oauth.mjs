// A real authorization server on loopback: authorization code with PKCE, device flow, refresh tokens that rotate.
// node oauth.mjs: prints {"port":N} when it listens; each line of standard input is a command as JSON, answered by what was
// requested so far, by every secret that went over the token endpoint, and by the refresh tokens that were taken there.
import http from "node:http";
import readline from "node:readline";
import Provider from "oidc-provider";

// clockAhead: how many seconds this server's clock is ahead of everybody else's; clockLeap: how many it leaps when a token is
// asked for; expiresIn: what it says instead of a token's true lifetime.
const state = { down: false, tokenLifetime: 3600, clockAhead: 0, clockLeap: 0, expiresIn: null,
  requests: [], secrets: {}, spent: [] };

const trueNow = Date.now;
Date.now = () => trueNow() + state.clockAhead * 1000;

const server = http.createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "desktop-client-1",
      token_endpoint_auth_method: "none",
      application_type: "native",
      redirect_uris: ["http://127.0.0.1/callback", "http://127.0.0.1/v1/bindings/setup/oauth2/callback"],
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      response_types: ["code"],
    },
  ],
  features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true } },
  scopes: ["mail.read", "mail.send"],
  pkce: { required: () => true },
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: () => state.tokenLifetime, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 3600, DeviceCode: 600 },
  cookies: { keys: ["for this test alone"] },
});

const remember = (found) => {
  for (const [name, value] of Object.entries(found)) if (value) (state.secrets[name] ??= []).push(value);
};
provider.on("grant.success", (ctx) => {
  remember({
    access_token: ctx.body.access_token,
    refresh_token: ctx.body.refresh_token,
    code_verifier: ctx.oidc.params.code_verifier,
  });
  if (ctx.oidc.params.refresh_token) state.spent.push(ctx.oidc.params.refresh_token);
  if (state.expiresIn !== null) ctx.body.expires_in = state.expiresIn;
});
provider.on("device_authorization.success", (ctx, body) => remember({ device_code: body.device_code }));

const callback = provider.callback();
server.on("request", (request, response) => {
  state.requests.push(`${request.method} ${request.url.split("?")[0]}`);
  if (state.down && request.url.startsWith("/token")) {
    request.socket.destroy();
    return;
  }
  if (request.url.startsWith("/token")) state.clockAhead += state.clockLeap;
  callback(request, response);
});

console.log(JSON.stringify({ port }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  if ("set" in command) Object.assign(state, command.set);
  console.log(JSON.stringify({ requests: state.requests, secrets: state.secrets, spent: state.spent }));
}).on("close", () => process.exit(0));
