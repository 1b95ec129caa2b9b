// One media server over HTTP, with the failures of the contract.
'use strict';

const http = require('node:http');
const https = require('node:https');

const { Failure } = require('./wire');

const maxResponse = 16 << 20;

const statuses = {
  401: ['credentials_rejected', 'the server rejected the credentials'],
  403: ['not_admin', 'the server accepted the credentials but refused the call'],
  404: ['endpoint_gone', 'the server does not know the call'],
  429: ['rate_limited', 'the server asks for fewer calls'],
  502: ['unavailable', 'the proxy before the server cannot reach it'],
  503: ['unavailable', 'the server is not available'],
};

// Connection keeps sockets to one server; close lets them go.
class Connection {
  constructor(ref) {
    this.base = new URL(ref.url);
    this.secure = this.base.protocol === 'https:';
    const tls = ref.tls || {};
    const options = { keepAlive: true, maxSockets: 8 };
    if (this.secure) {
      options.rejectUnauthorized = !tls.skip_verify;
      if (tls.ca_pem) {
        options.ca = [...require('node:tls').rootCertificates, tls.ca_pem];
      }
    }
    this.agent = new (this.secure ? https : http).Agent(options);
  }

  close() {
    this.agent.destroy();
  }

  // json does one request; key may be empty. The signal ends it, and its socket.
  json(method, path, key, body, signal) {
    return new Promise((resolve, reject) => {
      const failed = (err) => reject(err instanceof Failure ? err : explain(err, signal));
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers = { 'User-Agent': 'zondarr-plugin-node/1.0.0' };
      if (key) {
        headers.Authorization = `Bearer ${key}`;
      }
      if (text !== undefined) {
        headers['Content-Type'] = 'application/json';
        headers['Content-Length'] = Buffer.byteLength(text);
      }
      const prefix = this.base.pathname.replace(/\/$/, '');
      const req = (this.secure ? https : http).request({
        agent: this.agent, signal, method, headers, path: prefix + path,
        host: this.base.hostname.replace(/^\[|\]$/g, ''), port: this.base.port || undefined,
      }, (res) => {
        const chunks = [];
        let size = 0;
        res.on('error', failed);
        res.on('aborted', () => failed(new Error('aborted')));
        res.on('data', (chunk) => {
          size += chunk.length;
          if (size > maxResponse) {
            req.destroy();
            failed(new Failure('server_error', "the server's answer is too large"));
            return;
          }
          chunks.push(chunk);
        });
        res.on('end', () => {
          try {
            resolve(read(res, Buffer.concat(chunks)));
          } catch (err) {
            failed(err);
          }
        });
      });
      req.on('error', failed);
      req.end(text);
    });
  }
}

// explain names what went wrong on the way.
function explain(err, signal) {
  if (signal.aborted) {
    return new Failure('timeout', 'the server did not answer in time');
  }
  if (err.code === 'ECONNREFUSED') {
    return new Failure('unavailable', 'the server refuses connections');
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(err.code || '')) {
    return new Failure('unavailable', "the server's certificate is not trusted");
  }
  return new Failure('unavailable', 'the connection to the server broke');
}

// read gives the answer, or the failure that it stands for. The words of a problem are the
// media server's own; those of a page are never shown.
function read(res, body) {
  const isJSON = /^application\/json/.test(res.headers['content-type'] || '');
  if (res.statusCode >= 300) {
    const problem = isJSON ? parse(body) : {};
    if (problem.Error) {
      return Promise.reject(new Failure(problem.Error, problem.Message || problem.Error, {
        source: problem.Source || (/^(not_found|username_|password_|library_|protected|invalid)/.test(problem.Error) ? 'request' : 'upstream'),
        upstreamStatus: res.statusCode,
      }));
    }
    const [reason, message] = statuses[res.statusCode] || ['server_error', 'the server failed'];
    return Promise.reject(new Failure(reason, `${message} (HTTP ${res.statusCode})`, {
      upstreamStatus: res.statusCode, retryAfter: Number.parseInt(res.headers['retry-after'], 10) || 0,
    }));
  }
  if (!isJSON) {
    throw new Failure('wrong_product', 'the server does not answer in JSON', { upstreamStatus: res.statusCode });
  }
  return parse(body);
}

function parse(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new Failure('server_error', "the server's answer is broken");
  }
}

module.exports = { Connection };
