// The contract's messages, and failures as the host reads them.
'use strict';

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const sources = [
  require('../../../../proto/zondarr/plugin/v1/access.proto'),
  require('../../../../proto/zondarr/plugin/v1/rules.proto'),
  require('../../../../proto/zondarr/plugin/v1/describe.proto'),
  require('../../../../proto/zondarr/plugin/v1/server.proto'),
  require('../../../../proto/zondarr/plugin/v1/library.proto'),
  require('../../../../proto/zondarr/plugin/v1/link.proto'),
  require('../../../../proto/zondarr/plugin/v1/session.proto'),
  require('../../../../proto/zondarr/plugin/v1/user.proto'),
  require('../../../../proto/zondarr/plugin/v1/failure.proto'),
  require('../../../../proto/zondarr/plugin/v1/plugin.proto'),
  require('./go_plugin.proto'),
  require('./health.proto'),
  require('./status.proto'),
];

const root = new protobuf.Root();
for (const name of ['timestamp', 'duration']) {
  root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`).nested);
}
for (const source of sources) {
  protobuf.parse(source, root, { keepCase: true });
}
root.resolveAll();

const pkg = grpc.loadPackageDefinition(loader.fromJSON(root.toJSON(), {
  keepCase: true, longs: Number, enums: String, defaults: true, bytes: Buffer,
}));

const descriptors = {
  plugin: pkg.zondarr.plugin.v1.PluginService.service,
  health: pkg.grpc.health.v1.Health.service,
  controller: pkg.plugin.GRPCController.service,
};

const FailureInfo = root.lookupType('zondarr.plugin.v1.FailureInfo');
const Status = root.lookupType('google.rpc.Status');

// Failure is what a call ends with when it does not succeed.
class Failure extends Error {
  // reason is a name of the contract in lower case: 'not_found'.
  constructor(reason, message, { source = 'upstream', retryAfter = 0, upstreamStatus = 0 } = {}) {
    super(message);
    this.reason = reason;
    this.source = source;
    this.retryAfter = retryAfter;
    this.upstreamStatus = upstreamStatus;
  }
}

const transient = new Set(['unavailable', 'timeout', 'rate_limited', 'server_error', 'starting']);

// failureStatus gives the gRPC status of a failure, with its detail. The host reads the
// detail; the code is for other tools.
function failureStatus(failure) {
  const info = FailureInfo.fromObject({
    reason: `REASON_${failure.reason.toUpperCase()}`,
    source: `FAILURE_SOURCE_${failure.source.toUpperCase()}`,
    retryable: transient.has(failure.reason),
    upstream_status: failure.upstreamStatus,
  });
  if (failure.retryAfter > 0) {
    info.retry_after = { seconds: failure.retryAfter };
  }
  const code = failure.reason === 'unsupported' ? grpc.status.UNIMPLEMENTED : grpc.status.UNKNOWN;
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({
    code, message: failure.message,
    details: [{ type_url: 'type.googleapis.com/zondarr.plugin.v1.FailureInfo', value: FailureInfo.encode(info).finish() }],
  }).finish()));
  return { code, details: failure.message, metadata };
}

module.exports = { descriptors, Failure, failureStatus };
