#!/bin/sh
# SPDX-License-Identifier: MIT
# What a build does: read and write many files, parse JSON, big buffers, workers, compression.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need node

cat >build.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

function draw(state) {
	state.seed = (Math.imul(state.seed, 1103515245) + 12345) & 0x7fffffff;
	return state.seed >> 8;
}
function module_text(id) {
	const state = { seed: id + 1 };
	const entries = [];
	for (let i = 0; i < 300; i++) {
		entries.push({ id: i, name: 'n' + draw(state), list: Array.from({ length: draw(state) % 20 },
		    () => draw(state)), nested: { a: { b: { c: 'x'.repeat(draw(state) % 100) } } } });
	}
	return JSON.stringify({ id, entries });
}
function transform(text) {
	const tree = JSON.parse(text);
	for (const e of tree.entries) {
		e.name = e.name.replace(/\d/g, (d) => String.fromCharCode(97 + +d));
		e.sum = e.list.reduce((a, b) => (a + b) % 1000003, 0);
	}
	tree.entries.sort((a, b) => (a.name < b.name ? -1 : 1));
	return Buffer.from(JSON.stringify(tree));
}
if (!isMainThread) {
	const results = [];
	for (const file of workerData.files) {
		const out = transform(fs.readFileSync(file, 'utf8'));
		const packed = zlib.deflateSync(out, { level: 6 });
		if (!zlib.inflateSync(packed).equals(out)) throw new Error('zlib');
		fs.writeFileSync(file + '.out', packed);
		results.push([path.basename(file), crypto.createHash('sha1').update(out).digest('hex')]);
	}
	parentPort.postMessage(results);
} else {
	const dir = fs.mkdtempSync(path.join(process.cwd(), 'build-'));
	const files = [];
	for (let id = 0; id < 160; id++) {
		const file = path.join(dir, 'm' + id + '.json');
		fs.writeFileSync(file, module_text(id));
		files.push(file);
	}
	const keep = [];
	for (let i = 0; i < 4000; i++) {
		const b = Buffer.alloc(1000 + (i * 7919) % 60000, i & 255);
		if (i % 10 === 0) keep.push(b);
	}
	const big = Buffer.concat(keep);
	console.log('buffers', big.length, crypto.createHash('sha256').update(big).digest('hex'));
	let done = 0;
	const all = [];
	for (let w = 0; w < 4; w++) {
		const worker = new Worker(__filename, { workerData: { files: files.filter((_, i) => i % 4 === w) } });
		worker.on('message', (r) => all.push(...r));
		worker.on('error', (e) => { console.error(e); process.exit(1); });
		worker.on('exit', (code) => {
			if (code !== 0) process.exit(1);
			if (++done < 4) return;
			all.sort((a, b) => (a[0] < b[0] ? -1 : 1));
			for (const [name, hash] of all) console.log(name, hash);
			Promise.all(files.map((f) => fs.promises.readFile(f + '.out'))).then((bufs) => {
				console.log('packed', bufs.reduce((n, b) => n + b.length, 0));
				fs.rmSync(dir, { recursive: true });
			});
		});
	}
}
END
compare build node build.js

# A worker that comes and goes, with a heap of its own each time.
cat >workers.js <<'END'
const { Worker } = require('worker_threads');
const code = `const { parentPort } = require('worker_threads');
	const m = new Map(); for (let i = 0; i < 50000; i++) m.set('k' + i, { i, s: 's' + i });
	parentPort.postMessage(m.size);`;
(async () => {
	let sum = 0;
	for (let i = 0; i < 12; i++) {
		sum += await new Promise((done, fail) => {
			let answer; const w = new Worker(code, { eval: true });
			w.on('message', (n) => (answer = n)).on('error', fail).on('exit', () => done(answer));
		});
	}
	console.log(sum);
})();
END
compare workers node workers.js

cat >children.js <<'END'
const { execFileSync } = require('child_process');
for (let i = 0; i < 8; i++) console.log(execFileSync(process.execPath,
    ['-e', 'console.log(JSON.stringify(Array.from({length: 5000}, (_, i) => i)).length)']).toString().trim());
END
compare children node children.js
finish
