// A SMART app on npm's fhirclient: /launch begins, /back ends with what it sees. Prints its port.
"use strict";
const http = require("http");
const smart = require("fhirclient");

const [, , iss, scope] = process.argv;
let clientId;
const kept = new Map();
const storage = {
  get: async (key) => kept.get(key),
  set: async (key, value) => (kept.set(key, value), value),
  unset: async (key) => kept.delete(key),
};
const server = http.createServer(async (request, response) => {
  const redirectUri = `http://localhost:${server.address().port}/back`;
  try {
    const api = smart(request, response, storage);
    if (request.url.startsWith("/launch")) {
      await api.authorize({ iss, clientId, scope, redirectUri });
    } else if (request.url.startsWith("/register")) {
      clientId = new URL(request.url, redirectUri).searchParams.get("id");
      response.end("{}");
    } else {
      const client = await api.ready();
      const patient = await client.patient.read();
      const found = await client.request(`Observation?patient=${client.patient.id}`);
      await client.refresh();
      const again = await client.request(`Patient/${client.patient.id}`);
      const user = client.getFhirUser();
      response.end(JSON.stringify({ id: patient.id, again: again.id, total: found.total, user }));
    }
  } catch (error) {
    response.statusCode = 500;
    response.end(String((error && error.stack) || error));
  }
});
server.listen(0, "localhost", () => console.log(server.address().port));
