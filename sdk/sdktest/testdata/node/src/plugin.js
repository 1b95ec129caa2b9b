// The plugin: what it declares, and what it does on a fake media server.
'use strict';

const { Connection } = require('./http');
const { Failure, failureStatus } = require('./wire');

const rule = (use, more = {}) => ({ use: `FIELD_USE_${use}`, ...more });

const description = {
  name: 'node',
  version: '1.0.0',
  server_type: 'node',
  display_name: 'Fake, by Node',
  sdk_version: 'none, JavaScript',
  capabilities: ['READ_USERS', 'PROVISION', 'SUSPEND', 'LIBRARY_ACCESS', 'SET_PASSWORD', 'VERIFY_PASSWORD'].map((c) => `CAPABILITY_${c}`),
  user_kinds: [{ name: 'user', label: 'User' }, { name: 'admin', label: 'Administrator', protected: true }],
  settings_schema_json: JSON.stringify({
    type: 'object', additionalProperties: false, required: ['api_key'], 'x-order': ['api_key'],
    properties: { api_key: { type: 'string', title: 'API key', writeOnly: true } },
  }),
  join_flow: 'JOIN_FLOW_PASSWORD',
  account_rules: {
    username: rule('REQUIRED', { min_length: 1, max_length: 64 }), password: rule('REQUIRED', { min_length: 8 }), email: rule('OPTIONAL'),
  },
  traits: { library_modes: ['ALL', 'NONE', 'ONLY'].map((m) => `LIBRARY_MODE_${m}`), all_includes_future: true },
};

const names = description.capabilities.map((c) => c.replace('CAPABILITY_', '').toLowerCase());

// One client for each stored server, at its newest revision. Calls of an older one, and of
// servers that are not stored, have a client of their own.
const clients = new Map();

function acquire(ref) {
  const kept = clients.get(ref.id);
  if (kept && kept.ref.revision === ref.revision) {
    kept.calls++;
    return kept;
  }
  const client = { ref, http: new Connection(ref), calls: 1, retired: !ref.id || (kept && kept.ref.revision > ref.revision), confirmed: !ref.external_id };
  if (!client.retired) {
    clients.set(ref.id, client);
    if (kept) {
      kept.retired = true;
      if (kept.calls === 0) {
        kept.http.close();
      }
    }
  }
  return client;
}

function release(client) {
  if (--client.calls === 0 && client.retired) {
    client.http.close();
  }
}

// Session is one call: a client, and a signal that ends when the caller does.
class Session {
  constructor(client, signal) {
    this.client = client;
    this.signal = signal;
  }

  // get, and the other verbs, prove who the server is before they show the key.
  async request(method, path, body) {
    if (!this.client.confirmed) {
      const info = await this.info();
      if (info.ExternalID !== this.client.ref.external_id) {
        throw new Failure('wrong_server', 'this is another server than before');
      }
      this.client.confirmed = true;
    }
    return this.client.http.json(method, path, this.client.ref.secrets.api_key, body, this.signal);
  }

  info() {
    return this.client.http.json('GET', '/info', '', undefined, this.signal);
  }

  user(id) {
    return this.request('GET', `/users/${encodeURIComponent(id)}`);
  }
}

const time = (text) => {
  const at = Date.parse(text);
  return Number.isNaN(at) || at < 0 ? undefined : { seconds: Math.floor(at / 1000), nanos: (at % 1000) * 1e6 };
};

function wireUser(u) {
  return {
    id: u.ID, username: u.Username, display_name: u.DisplayName, email: u.Email, kind: u.Kind, protected: u.Protected,
    status: `USER_STATUS_${u.Status.toUpperCase()}`,
    libraries: u.Libraries && { mode: `LIBRARY_MODE_${u.Libraries.Mode.toUpperCase()}`, ids: u.Libraries.IDs || [] },
    plugin_state: u.PluginState ? Buffer.from(u.PluginState, 'base64') : undefined,
    created_at: time(u.CreatedAt), last_active_at: time(u.LastActiveAt), signed_in: u.SignedIn,
  };
}

const modeOf = (access) => access.mode.replace('LIBRARY_MODE_', '').toLowerCase();
const goAccess = (access) => ({ Mode: modeOf(access), IDs: access.ids.length ? access.ids : null });

function sameAccess(user, access) {
  const got = user.Libraries || {};
  return got.Mode === modeOf(access) && [...(got.IDs || [])].sort().join('\n') === [...access.ids].sort().join('\n');
}

const notApplied = () => new Failure('access_not_applied', 'the server said yes and did not do it');

async function setAccess(s, id, access) {
  await s.request('PUT', `/users/${encodeURIComponent(id)}/libraries`, goAccess(access));
  const user = await s.user(id);
  if (!sameAccess(user, access)) {
    throw notApplied();
  }
  return user;
}

async function setStatus(s, id, status) {
  await s.request('PUT', `/users/${encodeURIComponent(id)}/status`, status);
  const user = await s.user(id);
  if (user.Status !== status) {
    throw notApplied();
  }
  return user;
}

async function find(s, username) {
  return s.request('GET', `/find?username=${encodeURIComponent(username)}`);
}

async function create(s, req) {
  const libraries = await s.request('GET', '/libraries');
  for (const id of req.grant.libraries.ids) {
    if (!libraries.some((l) => l.ID === id)) {
      throw new Failure('library_not_found', 'there is no such library', { source: 'request' });
    }
  }
  let made;
  try {
    made = await s.request('POST', '/users', {
      Username: req.username, DisplayName: req.display_name, Email: req.email, Password: req.password,
    });
  } catch (err) {
    if (['unavailable', 'timeout', 'server_error'].includes(err.reason)) {
      throw new Failure('ambiguous', 'the server did not say whether it made the user');
    }
    throw err;
  }
  try {
    const user = await setAccess(s, made.ID, req.grant.libraries);
    if (user.Status !== 'active' || !(await signIn(s, req.username, req.password)).OK) {
      throw notApplied();
    }
    return user;
  } catch (err) {
    try { // undone also when the caller has gone
      const undo = new Session(s.client, AbortSignal.timeout(5000));
      await undo.request('DELETE', `/users/${encodeURIComponent(made.ID)}`);
    } catch {
      throw new Failure('ambiguous', 'the user was made in part, and undoing it failed');
    }
    throw err;
  }
}

const signIn = (s, username, password) => s.request('POST', '/sign-in', { Username: username, Password: password });

// The calls of the contract. Each gets a Session and the request, and gives the response.
const calls = {
  async TestConnection(s) {
    const info = await s.info();
    if (info.Product !== 'Fake Media Server') {
      throw new Failure('wrong_product', 'this is no fake media server');
    }
    if (s.client.ref.external_id && info.ExternalID !== s.client.ref.external_id) {
      throw new Failure('wrong_server', 'this is another server than before');
    }
    await s.request('GET', '/me');
    return {
      facts: {
        product: info.Product, version: info.Version, external_id: info.ExternalID, name: info.Name,
        capabilities: info.Capabilities.filter((c) => names.includes(c)).map((c) => `CAPABILITY_${c.toUpperCase()}`),
        library_modes: info.LibraryModes.map((m) => `LIBRARY_MODE_${m.toUpperCase()}`),
        join_flow: `JOIN_FLOW_${info.JoinFlow.toUpperCase()}`, account_rules: description.account_rules,
      },
    };
  },
  async ListLibraries(s) {
    const libraries = await s.request('GET', '/libraries');
    return { libraries: libraries.map((l) => ({ id: l.ID, name: l.Name, type: `LIBRARY_TYPE_${l.Type.toUpperCase()}` })) };
  },
  async GetUser(s, req) {
    return { user: wireUser(await s.user(req.id)) };
  },
  async FindUser(s, req) {
    return { user: wireUser(await find(s, req.username)) };
  },
  async CreateUser(s, req) {
    return { user: wireUser(await create(s, req)) };
  },
  async DeleteUser(s, req) {
    try {
      await s.request('DELETE', `/users/${encodeURIComponent(req.id)}`);
    } catch (err) {
      if (err.reason === 'not_found') {
        return { already_gone: true };
      }
      throw err;
    }
    return {};
  },
  async Suspend(s, req) {
    return { user: wireUser(await setStatus(s, req.id, 'suspended')) };
  },
  async Resume(s, req) {
    await setStatus(s, req.id, 'active');
    return { user: wireUser(await setAccess(s, req.id, req.grant.libraries)) };
  },
  async SetLibraryAccess(s, req) {
    return { user: wireUser(await setAccess(s, req.id, req.access)) };
  },
  async SetPassword(s, req) {
    await s.request('PUT', `/users/${encodeURIComponent(req.id)}/password`, req.password);
    return {};
  },
  async VerifyPassword(s, req) {
    const answer = await signIn(s, req.username, req.password);
    return { ok: answer.OK, user_id: answer.UserID };
  },
};

// within runs a call with a client and a signal. The signal ends a little before the host's
// deadline, so that a media server that hangs is told from a plugin that hangs.
async function within(call, run) {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  const left = new Date(call.getDeadline()).getTime() - Date.now();
  const timer = Number.isFinite(left) ? setTimeout(() => controller.abort(), left - Math.min(500, left / 5)) : undefined;
  const client = acquire(call.request.server);
  try {
    return await run(new Session(client, controller.signal), call.request);
  } finally {
    clearTimeout(timer);
    release(client);
  }
}

// told gives the status of whatever a call has thrown. What is no Failure is our own fault:
// its words go to the log.
function told(err, op) {
  if (err instanceof Failure) {
    return failureStatus(err);
  }
  console.error(JSON.stringify({ time: new Date().toISOString(), level: 'ERROR', msg: `${op} broke`, error: String(err && err.stack) }));
  return failureStatus(new Failure(op === 'CreateUser' ? 'ambiguous' : 'internal', 'the plugin failed (its log says why)', { source: 'plugin' }));
}

const handlers = { Describe: (call, done) => done(null, description) };
for (const [op, run] of Object.entries(calls)) {
  handlers[op] = (call, done) => {
    within(call, run).then((response) => done(null, response), (err) => done(told(err, op)));
  };
}

// ListUsers sends page after page, and waits while the host is busy.
handlers.ListUsers = (call) => {
  within(call, async (s) => {
    let after = '';
    for (;;) {
      const { Users: page } = await s.request('GET', `/users?limit=500&after=${encodeURIComponent(after)}`);
      const complete = page.length < 500;
      if (!call.write({ users: page.map(wireUser), complete })) {
        await new Promise((resolve) => { call.once('drain', resolve); s.signal.addEventListener('abort', resolve); });
      }
      if (s.signal.aborted) {
        throw new Failure('timeout', 'the caller has gone');
      }
      if (complete) {
        return;
      }
      after = page[page.length - 1].ID;
    }
  }).then(() => call.end(), (err) => call.emit('error', told(err, 'ListUsers')));
};

module.exports = { handlers, description };
