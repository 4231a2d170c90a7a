// Plays nodemailer and imapflow against a server, for t/60clients-node.py, which hands over a JSON file:
// {host, ca, submission, submissions, imap, imaps, user, other, password, messages: [file]}.
// Prints one line of JSON for each test: {ok, name, why}.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {ImapFlow} from 'imapflow';
import nodemailer from 'nodemailer';

const house = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const messages = house.messages.map((path) => readFileSync(path));
const tls = {ca: readFileSync(house.ca), servername: 'localhost'};

async function test(name, run) {
	let why = '';
	try {
		await run();
	} catch (e) {
		why = `${e.stack}\n${e.responseText ?? ''}`;
	}
	console.log(JSON.stringify({ok: why === '', name, why}));
}

// Buffers as they are, in any order.
function same(got, want) {
	const sorted = (list) => list.map((b) => b.toString('latin1')).sort();
	assert.deepEqual(sorted(got), sorted(want));
}

async function imapOf(user, port, secure) {
	const client = new ImapFlow({host: house.host, port, secure, tls, auth: {user, pass: house.password}, logger: false});
	await client.connect();
	return client;
}

async function sources(client, mailbox) {
	const got = [];
	const lock = await client.getMailboxLock(mailbox);
	try {
		await client.noop();
		if (client.mailbox.exists) {
			for await (const m of client.fetch('1:*', {source: true, uid: true})) {
				got.push(m.source);
			}
		}
	} finally {
		lock.release();
	}
	return got;
}

async function empty(client, mailbox) {
	const lock = await client.getMailboxLock(mailbox);
	await client.messageDelete('1:*');
	lock.release();
}

// What the server puts on top of a message at delivery is taken off.
function withoutTrace(source) {
	let text = source.toString('latin1');
	for (let m; (m = /^(return-path|delivered-to|received|authentication-results|received-spf):[^\r]*\r\n([ \t][^\r]*\r\n)*/i
		.exec(text)); text = text.slice(m[0].length)) {
	}
	return Buffer.from(text, 'latin1');
}

async function sendRaw(client, options) {
	const smtp = nodemailer.createTransport({host: house.host, tls, pool: true, maxConnections: 3, ...options,
		auth: {user: house.user, pass: house.password}});
	await smtp.verify();
	const sent = await Promise.all(messages.map((raw) =>
		smtp.sendMail({envelope: {from: house.user, to: [house.other]}, raw})));
	assert.deepEqual(sent.map((info) => info.accepted), messages.map(() => [house.other]));
	smtp.close();
	same((await sources(client, 'INBOX')).map(withoutTrace), messages);
	await empty(client, 'INBOX');
}

async function sendBuilt(client) {
	const smtp = nodemailer.createTransport({host: house.host, port: house.submissions, secure: true, tls,
		auth: {user: house.user, pass: house.password}});
	const octets = Buffer.from(Array.from({length: 70000}, (_, i) => i % 256));
	await smtp.sendMail({from: `"Älice" <${house.user}>`, to: house.other, subject: 'Grüße aus 東京', text: 'Zürich\n.\n..\n',
		html: '<p>Zürich</p>', attachments: [{filename: '地図.bin', content: octets}],
		dsn: {id: 'x+1', return: 'headers', notify: ['failure'], recipient: house.user}});
	const lock = await client.getMailboxLock('INBOX');
	try {
		await client.noop();
		const m = await client.fetchOne('*', {envelope: true, bodyStructure: true, flags: true, labels: true});
		assert.equal(m.envelope.subject, 'Grüße aus 東京');
		assert.deepEqual(m.envelope.from, [{name: 'Älice', address: house.user}]);
		const attached = m.bodyStructure.childNodes.find((n) => n.disposition === 'attachment');
		assert.equal(attached.dispositionParameters.filename, '地図.bin');
		const {content} = await client.download('*', attached.part);
		const chunks = [];
		for await (const c of content) {
			chunks.push(c);
		}
		same([Buffer.concat(chunks)], [octets]);
	} finally {
		lock.release();
	}
	await empty(client, 'INBOX');
	await assert.rejects(smtp.sendMail({from: 'x@elsewhere.test', to: house.other, text: 'x'}), /553/);
}

async function mailboxes(client) {
	const uses = (await client.list()).filter((b) => b.specialUse).map((b) => b.specialUse).sort();
	assert.deepEqual(uses, ['\\Archive', '\\Drafts', '\\Inbox', '\\Junk', '\\Sent', '\\Trash'].sort());
	await client.mailboxCreate(['Projekt', 'Zürich & 東京']);
	assert.ok((await client.list()).some((b) => b.path === 'Projekt/Zürich & 東京'));
	await client.mailboxRename('Projekt', 'Alt');
	await client.mailboxSubscribe('Alt/Zürich & 東京');
	const there = (await client.list()).find((b) => b.path === 'Alt/Zürich & 東京');
	assert.equal(there.subscribed, true);
	const status = await client.status('Alt/Zürich & 東京', {messages: true, uidNext: true, highestModseq: true});
	assert.deepEqual([status.messages, status.uidNext], [0, 1]);
	await client.mailboxDelete('Alt/Zürich & 東京');
	await client.mailboxDelete('Alt');
}

async function storing(client) {
	const date = new Date('2026-07-06T10:00:00Z');
	await client.mailboxCreate('Work');
	for (const m of messages) {
		const {uid, destination} = await client.append('Work', m, ['\\Seen', '$Forwarded'], date);
		assert.ok(uid > 0 && destination === 'Work');
	}
	same(await sources(client, 'Work'), messages);
	const lock = await client.getMailboxLock('Work');
	try {
		const first = await client.fetchOne('1', {flags: true, internalDate: true, size: true, modseq: true});
		assert.deepEqual([...first.flags].sort(), ['$Forwarded', '\\Seen']);
		assert.deepEqual([+first.internalDate, first.size], [+date, messages[0].length]);
		await client.messageFlagsAdd('2:3', ['\\Flagged']);
		assert.deepEqual(await client.search({flagged: true}), [2, 3]);
		assert.deepEqual(await client.search({subject: 'folded', seen: true}, {uid: true}), [8]);
		const changed = [];
		for await (const m of client.fetch('1:*', {flags: true}, {changedSince: first.modseq})) {
			changed.push(m.seq);
		}
		assert.deepEqual(changed.filter((n) => n === 2 || n === 3), [2, 3]);
		const moved = await client.messageMove('2:3', 'Archive');
		assert.equal(moved.uidMap.size, 2);
		await client.messageCopy('1', 'Archive');
	} finally {
		lock.release();
	}
	same(await sources(client, 'Archive'), [messages[1], messages[2], messages[0]]);
	assert.equal((await sources(client, 'Work')).length, messages.length - 2);
	await empty(client, 'Archive');
	await client.mailboxDelete('Work');
}

// A message that comes while the other side idles.
async function idling(client) {
	const lock = await client.getMailboxLock('INBOX');
	const told = new Promise((resolve, reject) => {
		client.once('exists', resolve);
		setTimeout(() => reject(new Error('no news in IDLE')), 60000).unref();
	});
	const idle = client.idle();
	const smtp = nodemailer.createTransport({host: house.host, port: house.submission, requireTLS: true, tls,
		auth: {user: house.user, pass: house.password}});
	await smtp.sendMail({from: house.user, to: house.other, subject: 'news', text: 'x'});
	const {count, prevCount} = await told;
	assert.deepEqual([count, prevCount], [1, 0]);
	await client.noop();
	await idle;
	lock.release();
	await empty(client, 'INBOX');
}

for (const [name, port, secure] of [['STARTTLS', 'imap', false], ['TLS', 'imaps', true]]) {
	const client = await imapOf(house.other, house[port], secure);
	await test(`nodemailer over 465, imapflow with ${name}: octet for octet`,
		() => sendRaw(client, {port: house.submissions, secure: true}));
	await test(`nodemailer over 587, AUTH LOGIN, imapflow with ${name}: octet for octet`,
		() => sendRaw(client, {port: house.submission, requireTLS: true, authMethod: 'LOGIN'}));
	await test(`nodemailer builds, imapflow with ${name} takes apart`, () => sendBuilt(client));
	await test(`imapflow, ${name}: mailboxes`, () => mailboxes(client));
	await test(`imapflow, ${name}: APPEND, FETCH, SEARCH, flags, MOVE, COPY`, () => storing(client));
	await test(`imapflow, ${name}: IDLE`, () => idling(client));
	await client.logout();
}
await test('imapflow: a wrong password is refused', async () => {
	const client = new ImapFlow({host: house.host, port: house.imaps, secure: true, tls,
		auth: {user: house.user, pass: 'wrong'}, logger: false});
	await assert.rejects(client.connect(), {authenticationFailed: true});
	client.close();
});
