# SPDX-License-Identifier: MIT
#
# amalgamate.awk -- the body of tract.c; scripts/amalgamate says what it does and calls it with
# `sources' and `headers', lists of paths in the order of the layers.

# ---------------------------------------------------------------- names at file scope

# The identifiers of a line, outside comments and strings, one call at a time: cut the line into
# before, word and rest.  `in_comment' goes from line to line.
function next_word(line,	c, n, i)
{
	n = length(line)
	before = word = rest = ""
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1)
		if (in_comment) {
			if (substr(line, i, 2) == "*/") {
				in_comment = 0
				i++
			}
		} else if (substr(line, i, 2) == "/*") {
			in_comment = 1
			i++
		} else if (c == "\"" || c == "'") {
			for (i++; i <= n && substr(line, i, 1) != c; i++)
				if (substr(line, i, 1) == "\\")
					i++
		} else if (c ~ /[A-Za-z_0-9]/) {
			match(substr(line, i), /^[A-Za-z_0-9]+/)
			before = substr(line, 1, i - 1)
			word = substr(line, i, RLENGTH)
			rest = substr(line, i + RLENGTH)
			return 1
		}
	}
	before = line
	return 0
}

function without_comments(line,	out)
{
	out = ""
	while (match(line, /\/\*[^*]*\*\//)) {
		out = out substr(line, 1, RSTART - 1)
		line = substr(line, RSTART + RLENGTH)
	}
	sub(/\/\*.*/, "", line)
	return out line
}

# The name that a declaration declares: a pointer to function, or the last word before what follows
# a declarator, without the attributes in capitals.
function declared(text)
{
	gsub(/_Atomic\([^()]*\)/, "_Atomic", text)
	gsub(/(ALIGNED|__attribute__|__asm__|OPERATOR)\(.*/, "", text)
	if (match(text, /\(\*[A-Za-z_ ]*[a-z_0-9]+(\[[^]]*\])*\)/)) {
		text = substr(text, RSTART, RLENGTH)
		gsub(/\[.*|[()*]/, "", text)
	} else
		sub(/[=;({[].*/, "", text)
	while (sub(/[ \t]+[A-Z_]*[ \t]*$/, "", text))
		;
	return match(text, /[A-Za-z_][A-Za-z_0-9]*$/) ? substr(text, RSTART) : ""
}

function define_name(file, name)
{
	if (name == "" || (file, name) in has_name)
		return
	has_name[file, name] = 1
	if (name in first_file) {
		if (file ~ /\.c$/)
			rename(file, name)
		if (first_file[name] ~ /\.c$/)
			rename(first_file[name], name)
	} else
		first_file[name] = file
}

# The tags of structures and enumerations have a name space of their own; here with `tag ' before.
function rename(file, name,	stem, bare)
{
	bare = name
	sub(/^tag /, "", bare)
	stem = file
	sub(/^src\//, "", stem)
	sub(/\.[ch]$/, "", stem)
	gsub(/\//, "_", stem)
	new_name[file, name] = (bare ~ /^[A-Z_0-9]*$/ ? toupper(stem) : stem) "_" bare
}

function scan_constants(file, text,	n, i, list)
{
	gsub(/^[^{]*\{|\}.*/, "", text)
	n = split(text, list, ",")
	for (i = 1; i <= n; i++)
		if (match(list[i], /[A-Za-z_][A-Za-z_0-9]*/))
			define_name(file, substr(list[i], RSTART, RLENGTH))
}

function scan(file,	line, body, i, is_static, held)
{
	body = held = ""
	while ((getline line < file) > 0) {
		line = without_comments(line)
		# A name that stands in the line below its type.
		if (held != "" && line ~ /^    [a-z]/)
			line = held line
		held = line ~ /^(static|extern) [^;=({]*(_Atomic\([^()]*\))?$/ ? line : ""
		if (held != "" && line ~ /_Atomic/)
			continue
		if (body == "enum" && line !~ /^\}/) {
			if (match(line, /^[ \t]+[A-Za-z_][A-Za-z_0-9]*/) && line !~ /LOCK_RANK/)
				scan_constants(file, line)
			continue
		}
		if (line ~ /^\}/) {
			if (line ~ /^\}[ \t]*[a-z_]/ && body == "static")
				define_name(file, declared(substr(line, 2)))
			body = ""
			continue
		}
		if (line !~ /^[A-Za-z_]/ || line ~ /^(struct|enum|union) [a-z_0-9]+;/)
			continue
		# What a source has for others, a header declares.
		if (line !~ /^[a-z][A-Za-z_0-9]*\(/)
			is_static = line ~ /^static / || file ~ /\.h$/
		if (match(line, /^(static +)?(const +)?(struct|enum|union) +[a-z_0-9]+ *\{/)) {
			i = substr(line, RSTART, RLENGTH)
			gsub(/[ \t]*\{$/, "", i)
			sub(/.* /, "", i)
			define_name(file, "tag " i)
		}
		if (line ~ /^enum[^(]*\{.*\}/)
			scan_constants(file, line)
		else if (line ~ /^enum[^(]*\{/)
			body = "enum"
		else if (line ~ /^static .*(struct|union)( [a-z_]+)? \{$/ && line !~ /=/)
			body = "static"
		else if (line ~ /^typedef /)
			define_name(file, declared(line))
		else if (match(line, /^[a-z][A-Za-z_0-9]*\(/)) {
			if (is_static && line !~ /^static_assert/)
				define_name(file, substr(line, 1, RLENGTH - 1))
		} else if (is_static && line ~ /[;=([]/ && line !~ /API\(/)
			define_name(file, declared(line))
	}
	close(file)
}

# ---------------------------------------------------------------- writing

function renamed(file, line,	out, name)
{
	out = ""
	while (next_word(line)) {
		out = out before
		name = (out ~ /(struct|union|enum) $/ ? "tag " : "") word
		out = out ((file, name) in new_name && out !~ /(\.|->)$/ ? new_name[file, name] : word)
		line = rest
	}
	return out before
}

# One declarator of an `extern', with its link name before its attributes.
function linked(part,	tail, name)
{
	tail = ""
	if (part ~ /\(\*/)
		name = declared(part)
	else {
		while (match(part, /[ \t\n]+[A-Z][A-Z_]+(\([^()]*\))?$/)) {
			tail = substr(part, RSTART) tail
			part = substr(part, 1, RSTART - 1)
		}
		name = part
		sub(/[ \t\n]*(\[[^]]*\])*[ \t\n]*$/, "", name)
		match(name, /[A-Za-z_0-9#]+$/)
		name = substr(name, RSTART)
	}
	return part " PRIVATE(" name ")" tail
}

# A declaration of a header, down to its semicolon, and what comment stands behind it.
function write_declaration(text,	at, comment, list, n, i, out)
{
	at = index(text, ";")
	comment = substr(text, at)
	text = substr(text, 1, at - 1)
	if (text ~ /EXPORT|OPERATOR\(|^(static|typedef|struct [a-z_0-9]+$)|^[A-Z_]+\(/)
		out = text
	else if (text ~ /^extern / && text ~ /\(\*/)
		out = linked(text)
	else if (text ~ /^extern / && text !~ /[ *][a-z][a-z_0-9]*\(/) {
		n = split(text, list, ",")
		out = linked(list[1])
		for (i = 2; i <= n; i++)
			out = out "," linked(list[i])
	} else {
		sub(/^extern /, "", text)
		out = "static " text
	}
	print out comment
}

function count_of(text, c)
{
	gsub(/"([^"\\]|\\.)*"|'([^'\\]|\\.)'/, "", text)
	return gsub(c, "", text)
}

function remember_macro(line,	name)
{
	name = line
	sub(/^# *(define|undef) +/, "", name)
	sub(/[^A-Za-z_0-9].*/, "", name)
	if (line ~ /^# *define/)
		is_macro[name] = 1
	else
		delete is_macro[name]
	return name
}

# A table where it is included: the rows whose macro is defined there, the table's own macros, and no
# fallbacks.
function write_table(file, path,	line, name, row, is_fallback, is_define)
{
	row = ""
	is_fallback = is_define = 0
	while ((getline line < path) > 0) {
		line = without_comments(line)
		if (line ~ /^# *(ifndef|endif)/)
			is_fallback = line ~ /ifndef/
		if (is_define || (line ~ /^# *define/ && !is_fallback)) {
			print line
			if (!is_define)
				remember_macro(line)
			is_define = line ~ /\\$/
		} else if (row == "" && line ~ /^#/) {
			name = line
			sub(/^# *[a-z]+ +/, "", name)
			sub(/[^A-Za-z_0-9].*/, "", name)
			if (line ~ /^# *undef/ && name in is_macro) {
				print line
				remember_macro(line)
			}
		} else if (row != "" || line ~ /^[A-Z_0-9]+\(/) {
			row = row (row == "" ? "" : "\n") renamed(file, line)
			if (count_of(row, "[(]") > count_of(row, "[)]"))
				continue
			name = row
			sub(/\(.*/, "", name)
			if (name in is_macro)
				print row
			row = ""
		}
	}
	close(path)
}

function is_dropped(line)
{
	return line ~ /SPDX-License-Identifier/ || line ~ /^# *include *</ ||
	    line ~ /^#define _[A-Z]*_SOURCE/ || line ~ /^# *include *"[a-z_\/]*\.h"/ ||
	    line ~ /^#(ifndef|define) TRACT_[A-Z_0-9]*_H$/
}

function write_file(file,	line, code, statement, depth, own, n, i, ends, blank)
{
	in_comment = n = depth = blank = 0
	statement = ""
	# The last line of a header closes its guard.
	ends = file ~ /\.h$/ ? length_of[file] : -1
	printf "\n/* ================================ %s ================================ */\n\n",
	    substr(file, 5)
	for (i = 1; (getline line < file) > 0; i++) {
		if (i == ends || is_dropped(line) || (blank && line == ""))
			continue
		blank = line == ""
		if (line ~ /^# *include *".*\.def"/) {
			gsub(/^[^"]*"|"[^"]*$/, "", line)
			write_table(file, "src/" line)
			continue
		}
		if (line ~ /^# *(define|undef) /) {
			code = remember_macro(line)
			if (file ~ /\.c$/ && line ~ /^# *define/)
				own[++n] = code
		}
		if (file ~ /\.c$/) {
			print renamed(file, line)
			continue
		}
		# A macro that declares.
		if (line ~ /^[ \t]+extern [^();]*;?[ \t]*\\?$/) {
			match(line, /;?[ \t]*\\?$/)
			code = substr(line, RSTART)
			line = linked(substr(line, 1, RSTART - 1)) code
		}
		if (depth == 0 && statement == "" && (line !~ /^[A-Za-z_]/ || line ~ /^static_assert/)) {
			print line
			continue
		}
		code = without_comments(line)
		depth += count_of(code, "[{]") - count_of(code, "[}]")
		if (depth > 0 || code ~ /\}/ || line ~ /^#/) {
			if (statement != "")
				print statement
			statement = ""
			print line
		} else {
			statement = statement (statement == "" ? "" : "\n") line
			if (code ~ /;[ \t]*$/) {
				write_declaration(statement)
				statement = ""
			}
		}
	}
	close(file)
	for (i = 1; i <= n; i++)
		if (own[i] in is_macro) {
			print "#undef " own[i]
			delete is_macro[own[i]]
		}
}

# The headers that a file includes, before it.
function write_headers(file,	line, n, i, list)
{
	n = 0
	while ((getline line < file) > 0) {
		length_of[file]++
		if (line ~ /^# *include *</ && line !~ /<tract\//) {
			sub(/>.*/, ">", line)
			sub(/.*</, "<", line)
			system_header[line] = 1
		} else if (line ~ /^# *include *"[a-z_\/]*\.h"/) {
			gsub(/^[^"]*"|"[^"]*$/, "", line)
			list[++n] = line
		}
	}
	close(file)
	for (i = 1; i <= n; i++) {
		if (list[i] == "tract_config.h")
			list[i] = "tract_config_alone.h"
		if (list[i] ~ /^tract\// || list[i] in is_placed)
			continue
		is_placed[list[i]] = 1
		write_headers("src/" list[i])
		order[++n_order] = "src/" list[i]
	}
}

# What differs in the amalgamation.
function write_attributes()
{
	print "\n/* The link name of a variable that several files share. */"
	print "#define PRIVATE(name) \\"
	print "\t__asm__(CONFIG_PUBLIC_PREFIX \"tract_\" #name) __attribute__((visibility(\"hidden\")))"
	print "/* With a prefix, who compiles this says what is exported. */"
	print "#ifdef TRACT_PREFIX\n#undef EXPORT\n#define EXPORT\n#endif"
}

# The macros of configure's header that are plain switches, in the words of configure.ac:
# TRACT_SWITCH([name], [MACRO], [yes or no], [help]).
function write_switches(	line, name, initial)
{
	print "\n#define CONFIG_JEMALLOC_VERSION \"" jemalloc_version "\""
	is_macro["CONFIG_JEMALLOC_VERSION"] = 1
	while ((getline line < "configure.ac") > 0)
		if (line ~ /^TRACT_SWITCH\(/) {
			split(line, part, /[][]/)
			initial[part[4]] = part[6] == "yes"
		}
	while ((getline line < "src/tract_config.h.in") > 0) {
		if (line !~ /^#define / || line ~ /TRACT_/)
			continue
		name = line
		sub(/^#define /, "", name)
		sub(/[^A-Z_0-9].*/, "", name)
		if (name in is_macro)
			continue
		if (!(name in initial)) {
			print "amalgamate: src/tract_config.h.in has " name \
			    ", src/tract_config_alone.h has not" > "/dev/stderr"
			exit failed = 1
		}
		line = name
		sub(/^CONFIG_/, "TRACT_", line)
		print "#ifdef " line "\n#define " name " " line "\n#else\n#define " name " " \
		    initial[name] "\n#endif"
	}
}

BEGIN {
	n_sources = split(sources, source)
	n_headers = split(headers, header)
	for (i = 1; i <= n_headers; i++)
		scan(header[i])
	for (i = 1; i <= n_sources; i++)
		scan(source[i])
	for (i = 1; i <= n_sources; i++)
		write_headers(source[i])
	for (name in system_header)
		print "#include " name | "LC_ALL=C sort"
	close("LC_ALL=C sort")
	print "\n#include \"tract.h\"\n"
	print "/* Not every build of it uses every function. */"
	print "#pragma GCC diagnostic ignored \"-Wunused-function\""
	for (i = 1; i <= n_order; i++) {
		write_file(order[i])
		if (order[i] == "src/tract_config_alone.h")
			write_switches()
		if (order[i] == "src/base/attr.h")
			write_attributes()
	}
	for (i = 1; i <= n_sources; i++)
		write_file(source[i])
}
