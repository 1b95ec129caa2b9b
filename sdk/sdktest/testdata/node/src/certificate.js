// A self-signed certificate for localhost, written by hand: Node makes keys and signatures,
// but no certificates.
'use strict';

const crypto = require('node:crypto');

function tlv(tag, ...parts) {
  const body = Buffer.concat(parts);
  let length;
  if (body.length < 0x80) {
    length = [body.length];
  } else if (body.length < 0x100) {
    length = [0x81, body.length];
  } else {
    length = [0x82, body.length >> 8, body.length & 0xff];
  }
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts) => tlv(0x30, ...parts);
const oid = (hex) => tlv(0x06, Buffer.from(hex, 'hex'));
const bool = tlv(0x01, Buffer.from([0xff]));

function time(date) {
  return tlv(0x18, Buffer.from(date.toISOString().replace(/[-:T]/g, '').slice(0, 14) + 'Z'));
}

function extension(id, critical, value) {
  return sequence(oid(id), ...(critical ? [bool] : []), tlv(0x04, value));
}

// selfSigned gives { key, pem, der }.
function selfSigned() {
  const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signature = sequence(oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  const name = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from('localhost')))));
  const serial = crypto.randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40;
  const now = Date.now();
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, serial),
    signature,
    name,
    sequence(time(new Date(now - 60e3)), time(new Date(now + 20 * 365 * 864e5))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(
      extension('551d13', true, sequence(bool)), // an authority: it vouches for itself
      extension('551d0f', true, tlv(0x03, Buffer.from([2, 0x84]))), // digitalSignature, keyCertSign
      extension('551d25', false, sequence(oid('2b06010505070301'))), // serverAuth
      extension('551d11', false, sequence(tlv(0x82, Buffer.from('localhost')))),
    )),
  );
  const der = sequence(body, signature, tlv(0x03, Buffer.from([0]), crypto.sign('sha256', body, privateKey)));
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }), pem, der };
}

module.exports = { selfSigned };
