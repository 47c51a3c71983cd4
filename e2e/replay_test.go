package e2e

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/openams/openams/sas"
)

// A replay sends the requests of a file byte by byte and compares the answers.
// Its files are made of steps:
//
//	=== what the step does
//	@wait                       repeat it until the answer fits, or a minute has passed
//	@crlf                       lines of the body end in CR LF
//	@body name                  the body is the file of that name beside this one, as it is
//	@clip                       the body is a short film
//	@wrap                       {{wrapped}} is a new key, for the certificate {{certificate}}
//	POST /api/Assets HTTP/1.1
//	Accept: application/json
//
//	{"Name":"a"}
//	--- 201
//	Location: {{root}}Assets('nb%3Acid%3AUUID%3A{{asset}}')
//
//	{"Id":"nb:cid:UUID:{{asset}}", …}
//
// {{name}} in an answer takes what stands there, and has to be the same when it
// comes again; in a request it is what was taken. {{any}} takes everything,
// {{time}} a date in one of the forms of v2. JSON and XML are compared without
// the blanks between their parts, headers only where the file names them. A
// request line with a whole URL goes there, another to the management API.
type replay struct {
	s    *server
	dir  string
	vars map[string]string
	clip []byte
}

type step struct {
	name       string
	wait, crlf bool
	clip, wrap bool
	bodyFile   string
	request    []string // line and headers
	body       string
	status     string
	headers    []string
	answer     string
}

func readSteps(t *testing.T, path string) (steps []step) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(text), "\n=== ")
	for _, part := range parts[1:] {
		request, answer, ok := strings.Cut(part, "\n--- ")
		if !ok {
			t.Fatalf("%s: a step without an answer: %s", path, part)
		}
		var st step
		st.name, request, _ = strings.Cut(request, "\n")
		for strings.HasPrefix(request, "@") {
			var line string
			line, request, _ = strings.Cut(request, "\n")
			word, arg, _ := strings.Cut(line, " ")
			switch word {
			case "@wait":
				st.wait = true
			case "@crlf":
				st.crlf = true
			case "@clip":
				st.clip = true
			case "@wrap":
				st.wrap = true
			case "@body":
				st.bodyFile = arg
			default:
				t.Fatalf("%s: %s", path, line)
			}
		}
		head, body, _ := strings.Cut(request, "\n\n")
		st.request, st.body = strings.Split(strings.TrimRight(head, "\n"), "\n"), strings.TrimRight(body, "\n")
		head, body, _ = strings.Cut(answer, "\n\n")
		lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
		st.status, st.headers, st.answer = lines[0], lines[1:], strings.TrimSpace(body)
		steps = append(steps, st)
	}
	return steps
}

// run replays a file.
func (r *replay) run(t *testing.T, file string) {
	for _, st := range readSteps(t, filepath.Join(r.dir, file)) {
		deadline := time.Now().Add(time.Minute)
		for {
			err := r.step(&st)
			if err == nil {
				break
			}
			if !st.wait || time.Now().After(deadline) {
				t.Fatalf("%s: %s: %v", file, st.name, err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

var variable = regexp.MustCompile(`\{\{([a-zA-Z0-9_]+)\}\}`)

// fill puts what was taken into a request.
func (r *replay) fill(s string) (string, error) {
	var missing error
	s = variable.ReplaceAllStringFunc(s, func(m string) string {
		v, ok := r.vars[m[2:len(m)-2]]
		if !ok {
			missing = fmt.Errorf("%s is not known", m)
		}
		return v
	})
	return s, missing
}

func (r *replay) step(st *step) error {
	if st.wrap {
		if err := r.wrap(); err != nil {
			return err
		}
	}
	head, err := r.fill(strings.Join(st.request, "\n"))
	if err != nil {
		return err
	}
	body, err := r.fill(st.body)
	if err != nil {
		return err
	}
	if st.bodyFile != "" {
		b, err := os.ReadFile(filepath.Join(r.dir, st.bodyFile))
		if err != nil {
			return err
		}
		if body, err = r.fill(string(b)); err != nil {
			return err
		}
	}
	if st.crlf {
		body = strings.ReplaceAll(body, "\n", "\r\n")
	}
	if st.clip {
		body = string(r.clip)
	}
	status, headers, got, err := r.send(strings.Split(head, "\n"), body)
	if err != nil {
		return err
	}
	if want, _, _ := strings.Cut(st.status, " "); want != fmt.Sprint(status) {
		return fmt.Errorf("status %d, want %s: %s", status, want, got)
	}
	taken := map[string]string{}
	for _, line := range st.headers {
		name, want, _ := strings.Cut(line, ":")
		if err := r.match(strings.TrimSpace(want), headers.Get(name), taken); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	if st.answer != "" {
		if err := r.match(squeeze(st.answer), squeeze(got), taken); err != nil {
			return err
		}
	}
	for name, v := range taken {
		r.vars[name] = v
	}
	return nil
}

// wrap makes a storage key and wraps it for the server's certificate.
func (r *replay) wrap() error {
	der, err := base64.StdEncoding.DecodeString(r.vars["certificate"])
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	rand.Read(key)
	// The protocol's hash is SHA-1.
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, cert.PublicKey.(*rsa.PublicKey), key, nil)
	r.vars["wrapped"] = base64.StdEncoding.EncodeToString(wrapped)
	return err
}

// send sends a request as it is, but for the length of its body and the name
// of the host, and reads the answer.
func (r *replay) send(head []string, body string) (int, http.Header, string, error) {
	line := strings.Fields(head[0])
	if len(line) != 3 {
		return 0, nil, "", fmt.Errorf("bad request line %q", head[0])
	}
	to := r.s.Management
	if strings.HasPrefix(line[1], "http") {
		u, err := url.Parse(line[1])
		if err != nil {
			return 0, nil, "", err
		}
		to, line[1] = u.Scheme+"://"+u.Host, u.RequestURI()
	}
	u, err := url.Parse(to)
	if err != nil {
		return 0, nil, "", err
	}
	conn, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		return 0, nil, "", err
	}
	defer conn.Close()
	if u.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{RootCAs: r.s.http.Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: u.Hostname()})
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, nil, "", err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", line[0], line[1], line[2])
	named := false
	for _, h := range head[1:] {
		name, _, _ := strings.Cut(strings.ToLower(h), ":")
		if named = named || name == "host"; name != "content-length" {
			b.WriteString(h + "\r\n")
		}
	}
	if !named {
		b.WriteString("Host: " + u.Host + "\r\n")
	}
	if body != "" || line[0] == "POST" || line[0] == "PUT" || line[0] == "MERGE" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("Connection: close\r\n\r\n")
	go func() { // a server may answer before it has read all
		_, _ = conn.Write(b.Bytes())
		_, _ = io.WriteString(conn, body)
	}()
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: line[0]})
		if err != nil {
			return 0, nil, "", err
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		got, err := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(got), err
	}
}

var between = regexp.MustCompile(`>\s+<`)

// squeeze takes out the blanks between the parts of JSON and XML.
func squeeze(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	if !strings.HasPrefix(s, "{") {
		return between.ReplaceAllString(s, "><")
	}
	var b strings.Builder
	inText, escaped := false, false
	for _, c := range s {
		switch {
		case inText:
			inText = escaped || c != '"'
			escaped = !escaped && c == '\\'
		case c == '"':
			inText = true
		case unicode.IsSpace(c):
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// match compares an answer with what the file has, and notes what it takes.
func (r *replay) match(want, got string, taken map[string]string) error {
	var pattern strings.Builder
	pattern.WriteString("(?s)^")
	var names []string
	at := 0
	for _, m := range variable.FindAllStringSubmatchIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[at:m[0]]))
		at = m[1]
		name := want[m[2]:m[3]]
		known, ok := r.vars[name]
		switch {
		case name == "any":
			pattern.WriteString(".*?")
		case name == "time":
			pattern.WriteString(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?`)
		case ok:
			pattern.WriteString(regexp.QuoteMeta(known))
		default:
			pattern.WriteString(`([^"'<>\s]+?)`)
			names = append(names, name)
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[at:]) + "$")
	found := regexp.MustCompile(pattern.String()).FindStringSubmatch(got)
	if found == nil {
		return fmt.Errorf("got  %s\nwant %s", got, want)
	}
	for i, name := range names {
		if before, ok := taken[name]; ok && before != found[i+1] {
			return fmt.Errorf("{{%s}} is %s and %s in %s", name, before, found[i+1], got)
		}
		taken[name] = found[i+1]
	}
	return nil
}

// newReplay returns a replay of files in a folder, with the variables that
// every file may use.
func newReplay(t *testing.T, s *server, dir string) *replay {
	t.Helper()
	r := &replay{s: s, dir: dir, vars: map[string]string{
		"root": s.V2Endpoint, "store": s.StorageAccountName, "storage": s.BlobEndpoint, "streaming": s.StreamingEndpoint,
		"origin": s.Management, "account": s.AccountName, "key": url.QueryEscape(s.AccountKey),
		"start": time.Now().UTC().Add(-5 * time.Minute).Format("2006-01-02T15:04:05"),
	}}
	storageKey, err := base64.StdEncoding.DecodeString(s.StorageKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	r.vars["sas"] = sas.Values{Version: sas.DefaultVersion, Services: "b", ResourceTypes: "sco", Permissions: "rwdlac",
		Expiry: sas.Time(time.Now().Add(time.Hour))}.Sign(storageKey, s.StorageAccountName, "", "")
	r.vars["token"] = s.aad(t, "https://rest.media.azure.net")
	r.vars["arm"] = s.account()
	return r
}

// files are the replays of a folder, in order of their names.
func (r *replay) files(t *testing.T) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(r.dir, "*.http"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no replays in %s: %v", r.dir, err)
	}
	for _, path := range all {
		names = append(names, filepath.Base(path))
	}
	slices.Sort(names)
	return names
}

// TestV2Documents sends every request that the documents of v2 print, with the
// headers and bodies that they have there, and compares the answers with those
// that they promise.
func TestV2Documents(t *testing.T) {
	t.Parallel()
	film, err := os.ReadFile(clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "")
	for _, file := range newReplay(t, s, "testdata/v2").files(t) {
		t.Run(file, func(t *testing.T) {
			r := newReplay(t, s, "testdata/v2")
			r.clip, r.vars["size"] = film, fmt.Sprint(len(film))
			r.run(t, file)
		})
	}
}

// TestV2PHP sends what the PHP SDK of AMS sent in its own tests against this
// server, byte by byte, and holds the answers against those it was content
// with.
func TestV2PHP(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "1")
	for _, file := range newReplay(t, s, "testdata/php").files(t) {
		t.Run(file, func(t *testing.T) { newReplay(t, s, "testdata/php").run(t, file) })
	}
}

// TestV2Clients sends what other old clients send, in their spellings.
func TestV2Clients(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "0")
	r := newReplay(t, s, "testdata/clients")
	r.vars["armtoken"] = s.aad(t, s.Management)
	for _, file := range r.files(t) {
		r.run(t, file)
	}
}
