# SPDX-License-Identifier: MIT
"""programs -- real programs and start-up as jobs of bench-compare.

Each is a command that does the same work every time, on inputs made here once; what the system
lacks is left out.  They run below `bench --spawn', which gives the library to the command alone and
measures it with all processes it waited for; redis is a server, measured from outside.
"""

import os
import shutil
import subprocess
import sys
import time

# Processes that live for a moment; they run many times in one measurement.
START_UP = ["start-true", "start-ls", "start-gcc"]


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


SQL = """
CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, name TEXT, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %(rows)d)
INSERT INTO t SELECT i, (i * 7919) %% 10007, 'name ' || i, hex(zeroblob(i %% 60)) FROM n;
CREATE INDEX t_k ON t(k);
CREATE INDEX t_name ON t(name);
SELECT k, count(*), max(name), group_concat(id, ' ') FROM t GROUP BY k ORDER BY 2 DESC LIMIT 20;
SELECT a.id, b.name FROM t a JOIN t b ON b.k = a.k WHERE a.id %% 997 = 0 ORDER BY b.name LIMIT 50;
UPDATE t SET body = body || name WHERE k %% 3 = 0;
DELETE FROM t WHERE k %% 5 = 1;
SELECT count(*), sum(length(body)) FROM t;
"""

PYTHON = """
import json, re, collections
rows = [{"id": i, "name": "n%%d" %% (i * 7919 %% 10007), "tags": ["t%%d" %% (i %% k) for k in (3, 5, 7)]}
        for i in range(%(n)d)]
text = json.dumps(rows)
back = json.loads(text)
index = collections.defaultdict(list)
for r in back:
    for tag in r["tags"]:
        index[tag].append(r["name"])
words = re.findall(r"n\\d+", text)
joined = "".join(sorted(set(words)))
classes = [type("C%%d" %% i, (), {"x": i}) for i in range(500)]
print(len(text), len(words), len(joined), sum(len(v) for v in index.values()), len(classes))
"""

PERL = """
my (%%h, @l);
for my $i (1 .. %(n)d) {
	$h{"key" . $i %% 90000} .= "x" x ($i %% 60);
	push @l, [$i, "value $i"];
	@l = () if @l > 60000;
	delete $h{"key" . ($i * 7) %% 90000} if $i %% 3 == 0;
}
print scalar(keys %%h), " ", scalar(@l), "\\n";
"""

RUBY = """
h = Hash.new { |hash, k| hash[k] = [] }
%(n)d.times do |i|
  h["key#{i %% 9000}"] << "value #{i}" * (i %% 5)
  h.delete("key#{(i * 7) %% 9000}") if i %% 50 == 0
end
s = h.map { |k, v| k + v.join(",") }.sort.join("\\n")
puts s.size, s.split("\\n").group_by { |l| l.size }.size
"""

NODE = """
const m = new Map();
for (let i = 0; i < %(n)d; i++) {
  m.set("key" + i %% 50000, { i, text: "value " + i, list: [i, i + 1, i + 2] });
  if (i %% 3 === 0) m.delete("key" + (i * 7) %% 50000);
}
const text = JSON.stringify([...m]);
const bufs = [];
for (let i = 0; i < 2000; i++) bufs.push(Buffer.alloc(1000 + (i * 7919) %% 60000, i));
console.log(text.length, JSON.parse(text).length, Buffer.concat(bufs.slice(0, 100)).length);
"""


def c_source(functions):
    lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
    for i in range(functions):
        m = i % 9 + 1
        lines.append(f"struct s{i} {{ int a[{m}]; char *b; }};\n"
                     f"int f{i}(struct s{i} *s, int n) {{ for (int i = 0; i < n; i++) if (s->b && "
                     f"strlen(s->b) > {i}) s->a[i % {m}] += n * i; return n + {i}; }}")
    return "\n".join(lines) + "\n"


CXX = """
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>
int main() {
	std::map<std::string, std::vector<int>> m;
	std::unordered_map<int, std::shared_ptr<std::string>> u;
	for (int i = 0; i < 10; i++) { m[std::to_string(i)].push_back(i); u[i] = std::make_shared<std::string>("x"); }
	std::cout << m.size() << u.size();
}
"""


def python_command(folder, scale):
    system = "/usr/bin/python3"
    program = system if os.access(system, os.X_OK) else sys.executable
    return [program, write(f"{folder}/p.py", PYTHON % {"n": max(1, int(60000 * scale))})]


def python_malloc_command(folder, scale):
    return ["env", "PYTHONMALLOC=malloc"] + python_command(folder, scale)


def perl_command(folder, scale):
    return ["perl", write(f"{folder}/p.pl", PERL % {"n": max(1, int(200000 * scale))})]


def ruby_command(folder, scale):
    return ["ruby", write(f"{folder}/p.rb", RUBY % {"n": max(1, int(300000 * scale))})]


def node_command(folder, scale):
    return ["node", write(f"{folder}/p.js", NODE % {"n": max(1, int(200000 * scale))})]


def sqlite_command(folder, scale):
    sql = write(f"{folder}/p.sql", SQL % {"rows": max(1, int(120000 * scale))})
    return ["sqlite3", ":memory:", f".read {sql}"]


def gcc_command(folder, scale):
    source = write(f"{folder}/p.c", c_source(max(1, int(400 * scale))))
    return ["gcc", "-O1", "-c", "-o", f"{folder}/p.o", source]


def cxx_command(folder, _scale):
    return ["g++", "-O0", "-c", "-o", f"{folder}/px.o", write(f"{folder}/p.cc", CXX)]


def git_command(folder, scale):
    """Packs a repository of some hundred commits anew."""
    repository = f"{folder}/git"
    if not os.path.isdir(repository):
        os.mkdir(repository)
        stream = ["reset refs/heads/main"]
        for i in range(max(2, int(300 * scale))):
            stream.append(f"commit refs/heads/main\ncommitter a <a@b> {1000000000 + i} +0000\n"
                          f"data 4\nc{i % 100:02d}\n")
            for k in range(8):
                text = "".join(f"line {j * (i + k + 1) % 977}\n" for j in range(200))
                stream.append(f"M 644 inline d{k}/f{(i * 31 + k) % 40}\ndata {len(text)}\n{text}")
        git = ["git", "-C", repository]
        subprocess.run(git + ["init", "-q", "-b", "main"], check=True)
        subprocess.run(git + ["fast-import", "--quiet"], check=True, text=True,
                       input="\n".join(stream) + "\n")
    return ["git", "-C", repository, "repack", "-adfq", "--threads=2", "--depth=20"]


def git_log_command(folder, scale):
    git_command(folder, scale)
    return ["git", "-C", f"{folder}/git", "log", "-p", "--stat"]


def true_command(_folder, _scale):
    return ["/bin/true"]


def ls_command(_folder, _scale):
    return ["/bin/ls", "/usr/bin"]


def small_gcc_command(folder, _scale):
    return ["gcc", "-c", "-o", f"{folder}/s.o", write(f"{folder}/s.c", "int f(int x) { return x; }\n")]


# Name, program it needs, times in one measurement, command.
PROGRAMS = [("sqlite", "sqlite3", 1, sqlite_command),
            ("python", "python3", 1, python_command),
            ("python-malloc", "python3", 1, python_malloc_command),
            ("gcc", "gcc", 1, gcc_command),
            ("g++", "g++", 1, cxx_command),
            ("perl", "perl", 1, perl_command),
            ("ruby", "ruby", 1, ruby_command),
            ("node", "node", 1, node_command),
            ("git-repack", "git", 1, git_command),
            ("git-log", "git", 1, git_log_command),
            ("start-true", "true", 500, true_command),
            ("start-ls", "ls", 200, ls_command),
            ("start-gcc", "gcc", 12, small_gcc_command)]
REDIS = "redis"


def names():
    have = [name for name, program, _, _ in PROGRAMS if shutil.which(program)]
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        have.append(REDIS)
    return have


def command_of(bench, name, folder, scale):
    """The whole command line of one measurement."""
    for known, _, times, prepare in PROGRAMS:
        if known == name:
            if name in START_UP:
                times = max(1, int(times * scale))
            return [bench, "--spawn", str(times)] + prepare(folder, scale)
    raise KeyError(name)


# ---- redis ----

def find_libc():
    """redis is linked with an allocator of its own: libc's malloc must be put in front of it."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            path = line.split()[-1]
            if "/libc.so" in path or "/libc-2" in path:
                return path
    return None


def proc_numbers(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        words = file.read().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    return {"minor_faults": int(words[7]), "user_s": int(words[11]) / tick,
            "sys_s": int(words[12]) / tick, "peak_kib": int(status["VmHWM"].split()[0]),
            "rss_kib": int(status["VmRSS"].split()[0])}


def wait_for(path, process):
    for _ in range(500):
        if os.path.exists(path):
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise OSError("redis-server did not start")


def redis_run(folder, env, preload, scale, idle_s):
    """Pipelined commands of several kinds; then all keys are dropped, and the server idles."""
    socket = f"{folder}/redis.sock"
    if os.path.exists(socket):
        os.unlink(socket)
    count = str(max(100, int(200000 * scale)))
    server_env = dict(env, LD_PRELOAD=preload or find_libc() or "")
    with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                           "--appendonly", "no", "--dir", folder], env=server_env,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(socket, server)
            before = proc_numbers(server.pid)
            start = time.monotonic()
            subprocess.run(["redis-benchmark", "-s", socket, "-q", "-P", "16", "-c", "20", "-n",
                            count, "-r", "20000", "-d", "100", "-t",
                            "set,get,incr,lpush,lpop,sadd,hset,zadd,mset"],
                           env=env, check=True, stdout=subprocess.DEVNULL)
            wall_s = time.monotonic() - start
            after = proc_numbers(server.pid)
            row = {"wall_s": f"{wall_s:.6f}", "peak_kib": after["peak_kib"],
                   "minor_faults": after["minor_faults"] - before["minor_faults"]}
            for field in ("user_s", "sys_s"):
                row[field] = f"{after[field] - before[field]:.6f}"
            row["cpu_s"] = f"{float(row['user_s']) + float(row['sys_s']):.6f}"
            if idle_s > 0:
                subprocess.run(["redis-cli", "-s", socket, "flushall", "sync"], env=env, check=True,
                               stdout=subprocess.DEVNULL)
                time.sleep(idle_s)
                row.update({"idle_s": f"{idle_s:g}", "idle_kib": proc_numbers(server.pid)["rss_kib"]})
            return row
        finally:
            server.terminate()
