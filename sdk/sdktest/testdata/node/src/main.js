// A Zondarr plugin in JavaScript: the process's side. What it does for a media server is in
// plugin.js; this file starts a gRPC server, tells the host where it is, and ends when the
// host does. See sdk/proto/README.md for the rules.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');

const { selfSigned } = require('./certificate');
const { descriptors } = require('./wire');
const { handlers, description } = require('./plugin');

// The host's handshake, for contract version 1.
const cookie = { key: 'ZONDARR_PLUGIN', value: 'a-media-server-plugin-for-zondarr' };
const maxMessage = 16 << 20;

function byHand(argument) {
  switch (argument) {
    case '--version':
      console.log(`${description.name} ${description.version}`);
      return 0;
    case '--describe':
      console.log(JSON.stringify(description, null, 2));
      return 0;
    default:
      console.error('This is a Zondarr plugin. Put it into the plugin directory; by hand it answers --version and --describe.');
      return argument === '--help' ? 0 : 2;
  }
}

// credentials gives mutual TLS when the host asks for it: the host's certificate is in the
// environment, ours goes into the handshake line.
function credentials() {
  const clientCert = process.env.PLUGIN_CLIENT_CERT;
  if (!clientCert) {
    return { creds: grpc.ServerCredentials.createInsecure(), field: '' };
  }
  const own = selfSigned();
  const creds = grpc.ServerCredentials.createSsl(
    Buffer.from(clientCert), [{ private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.pem) }], true);
  return { creds, field: own.der.toString('base64').replace(/=+$/, '') };
}

function stop(server) {
  server.forceShutdown();
  process.exit(0);
}

function main() {
  if (process.env[cookie.key] !== cookie.value || process.argv.length > 2) {
    process.exit(byHand(process.argv[2]));
  }
  // The host decides when we end; these reach us through the process group.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {});
  }
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxMessage,
    'grpc.max_send_message_length': maxMessage,
  });
  server.addService(descriptors.plugin, handlers);
  server.addService(descriptors.health, {
    Check: (call, done) => done(null, { status: 'SERVING' }),
  });
  server.addService(descriptors.controller, {
    Shutdown: (call, done) => {
      done(null, {});
      setImmediate(stop, server);
    },
  });
  // A host that dies takes its end of our standard input with it. A terminal or /dev/null
  // says nothing about a host.
  if (fs.fstatSync(0).isFIFO() || fs.fstatSync(0).isSocket()) {
    process.stdin.resume();
    process.stdin.on('end', () => stop(server));
    process.stdin.on('close', () => stop(server));
    process.stdin.on('error', () => stop(server));
  }
  const { creds, field } = credentials();
  const dir = process.env.PLUGIN_UNIX_SOCKET_DIR || require('node:os').tmpdir();
  const socket = path.join(dir, `plugin-${process.pid}.sock`);
  server.bindAsync(`unix:${socket}`, creds, (err) => {
    if (err) {
      console.error(JSON.stringify({ level: 'ERROR', msg: 'cannot listen', error: err.message }));
      process.exit(1);
    }
    process.on('exit', () => fs.rmSync(socket, { force: true }));
    process.stdout.write(`1|1|unix|${socket}|grpc|${field}\n`);
  });
}

main();
