// Drives an unmodified npm `auth0`: a call a line on standard input, what came of it a line on standard output.
//   {"options": {"domain", "token"}, "call": "hooks.create", "arguments": [...]}
//   -> {"value": ...} or {"error": {"name", "statusCode", "errorCode", "message"}}
// usage: node auth0_driver.cjs FOLDER PACKAGE
const [folder, name] = process.argv.slice(2);
const { ManagementClient } = require(require.resolve(name, { paths: [folder] }));
const clients = new Map();

function clientOf(options) {
  const key = JSON.stringify(options);
  if (!clients.has(key)) clients.set(key, new ManagementClient(options));
  return clients.get(key);
}

async function call({ options, call, arguments: given }) {
  const steps = call.split(".");
  const method = steps.pop();
  const owner = steps.reduce((object, step) => object[step], clientOf(options));
  const value = await owner[method](...given);
  if (value && value[Symbol.asyncIterator]) {
    const items = [];
    for await (const item of value) items.push(item);
    return items;
  }
  return name === "auth0v4" ? value.data : value;
}

function told(error) {
  const { statusCode, message, body } = error;
  return { name: error.constructor.name, statusCode, message, errorCode: error.errorCode ?? body?.errorCode };
}

(async () => {
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const answer = await call(JSON.parse(line)).then(
      (value) => ({ value: value ?? null }),
      (error) => ({ error: told(error) }),
    );
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
})();
