package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openams/openams/middleware"
)

//go:embed pages/signin.html
var pageText string

// parsePage returns the one template of all pages.
func parsePage() (*template.Template, error) { return template.New("page").Parse(pageText) }

// page is what the template shows: a form to type a code into, one to sign in
// with, a message alone, or fields to be carried back to a program.
type page struct {
	Title   string
	Message string // what happened; an error if Alarm
	Alarm   bool

	Action   string // of the form; empty: no form
	Flow     string // sealed: what the form is about
	AskCode  bool
	AskName  bool
	Name     string // to begin with
	Program  string // who gets the tokens
	From     string // where that program runs
	Carry    map[string]string
	Nonce    string // of the style, for the content security policy
	formGoes string // where else than here the form may lead
}

// A flow is what the authority wants to read again when the form of a page
// comes back.
type flow struct {
	Device   string `json:"d,omitempty"` // user code; of the device page "?" until it is typed
	Browser  string `json:"b"`           // digest of the cookie: a page works in the browser that it was sent to
	Program  string `json:"c,omitempty"`
	Redirect string `json:"r,omitempty"`
	State    string `json:"s,omitempty"`
	Mode     string `json:"m,omitempty"` // query, fragment or form_post
	Code     ticket `json:"t"`           // to be sealed as the code
	Tenant   string `json:"e,omitempty"` // of the URL
}

const (
	flowLifetime = 15 * time.Minute
	maxState     = 4 << 10 // bytes
)

// authorize begins the sign-in of a person in a browser (RFC 6749 4.1) with a
// page. PKCE is required of every program.
func (a *Authority) authorize(p place, w http.ResponseWriter, r *http.Request) {
	var form url.Values
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		form = r.URL.Query()
	case http.MethodPost: // OpenID Connect Core 3.1.2.1
		var f *fault
		if form, f = readForm(w, r); f != nil {
			a.failPage(w, r, f)
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		a.failPage(w, r, &fault{status: http.StatusMethodNotAllowed, code: 900561, text: "This page takes GET and POST."})
		return
	}
	// Until program and redirect are known to be good, errors stay here: the
	// authority is not to be used to send people elsewhere.
	program, f := "", a.checkTenant(p)
	if f == nil {
		f = a.fitForPeople(r)
	}
	if f == nil {
		form.Del("client_secret") // does not belong in a browser
		program, f = a.program(r, form)
	}
	fl := flow{Program: program, Redirect: form.Get("redirect_uri"), State: form.Get("state"), Mode: form.Get("response_mode"), Tenant: p.tenant}
	switch {
	case f != nil:
	case !a.mayRedirect(fl.Redirect):
		f = &fault{status: http.StatusBadRequest, code: 50011,
			text: "The redirect URI specified in the request is neither on the user's own machine (http://localhost) nor configured."}
	case len(fl.State) > maxState:
		f = &fault{status: http.StatusBadRequest, code: 90019, text: "The parameter 'state' is too long."}
	}
	if f != nil {
		a.failPage(w, r, f)
		return
	}
	q, f := a.wanted(p, r, form, true)
	switch {
	case fl.Mode == "":
		fl.Mode = "query"
	case fl.Mode != "query" && fl.Mode != "fragment" && fl.Mode != "form_post":
		f = &fault{oauth: "invalid_request", code: 90019, text: "The response_mode is not supported."}
		fl.Mode = "query"
	}
	challenge := form.Get("code_challenge")
	switch {
	case f != nil:
	case form.Get("response_type") != "code":
		f = &fault{oauth: "unsupported_response_type", code: 70005, text: "Only the response_type 'code' is supported."}
	case len(challenge) != 43 || form.Get("code_challenge_method") != "S256":
		f = &fault{oauth: "invalid_request", code: 9002325, text: "Proof Key for Code Exchange is required: a code_challenge by the method S256."}
	case len(form.Get("nonce")) > 1024:
		f = &fault{oauth: "invalid_request", code: 90019, text: "The nonce is too long."}
	case form.Get("prompt") == "none":
		f = &fault{oauth: "login_required", code: 50058, text: "Everybody signs in with a password here, each time."}
	}
	if f != nil {
		a.deliver(w, r, &fl, map[string]string{"error": f.oauth, "error_description": f.describe()})
		return
	}
	fl.Code = ticket{Program: program, Want: q, Redirect: fl.Redirect, Challenge: challenge, Nonce: form.Get("nonce")}
	a.ask(w, r, http.StatusOK, &fl, page{Name: clip(form.Get("login_hint"))})
}

// fitForPeople refuses to take a password over a network in clear.
func (a *Authority) fitForPeople(r *http.Request) *fault {
	u, err := url.Parse(middleware.Origin(r))
	if err == nil && (u.Scheme == "https" || isLoopback(u.Hostname())) {
		return nil
	}
	return &fault{status: http.StatusBadRequest, code: 90019, text: "People sign in over HTTPS only. Use the https address of this server."}
}

// ask shows the form of fl: for a code while that is not known, else for name
// and password.
func (a *Authority) ask(w http.ResponseWriter, r *http.Request, status int, fl *flow, pg page) {
	fl.Browser = a.browser(w, r)
	sealed, err := a.sealer.seal("flow", fl, a.c.Now().Add(flowLifetime))
	if err != nil {
		a.failPage(w, r, transient())
		return
	}
	pg.Title, pg.Flow, pg.Program = "Sign in", sealed, fl.Program
	if pg.AskCode = fl.Device == "?"; pg.AskCode {
		pg.Title, pg.Action = "Enter code", devicePage
	} else {
		pg.AskName, pg.Action = true, "/"+url.PathEscape(fl.tenant())+"/login"
		pg.formGoes = fl.Redirect
	}
	a.show(w, status, &pg)
}

func (fl *flow) tenant() string {
	if fl.Tenant == "" {
		return "common"
	}
	return fl.Tenant
}

// login takes the form with name and password.
func (a *Authority) login(_ place, w http.ResponseWriter, r *http.Request) {
	fl, form, ok := a.returned(w, r)
	if !ok {
		return
	}
	now := a.c.Now()
	if fl.Device == "?" {
		a.failPage(w, r, stalePage())
		return
	}
	if form.Get("action") == "cancel" {
		if fl.Device != "" {
			a.devices.decide(fl.Device, nil, now)
			a.show(w, http.StatusOK, &page{Title: "Cancelled", Message: "The program was not signed in. You can close this page."})
			return
		}
		a.deliver(w, r, fl, map[string]string{"error": "access_denied", "error_description": "AADSTS65004: The user declined to sign in."})
		return
	}
	person, f := a.signIn(r, form.Get("username"), form.Get("password"))
	if f != nil {
		a.after(w, f)
		status, text := http.StatusOK, "The name or the password is wrong."
		if f.code != 50126 {
			status, text = f.status, f.text
		}
		a.ask(w, r, status, fl, page{Message: text, Alarm: true, Name: clip(form.Get("username"))})
		return
	}
	if fl.Device != "" {
		if !a.devices.decide(fl.Device, person, now) {
			a.failPage(w, r, stalePage())
			return
		}
		a.show(w, http.StatusOK, &page{Title: "Signed in", Message: "The program is signed in as " + person.Name + ". You can close this page."})
		return
	}
	fl.Code.ID, fl.Code.Person, fl.Code.Stamp = unguessable(), person.ID, person.Stamp
	code, err := a.sealer.seal("code", fl.Code, now.Add(codeLifetime))
	if err != nil {
		a.failPage(w, r, transient())
		return
	}
	a.deliver(w, r, fl, map[string]string{"code": code})
}

// typed serves the page of devices: the form for the code, and what comes of
// it.
func (a *Authority) typed(_ place, w http.ResponseWriter, r *http.Request) {
	if f := a.fitForPeople(r); f != nil {
		a.failPage(w, r, f)
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		a.ask(w, r, http.StatusOK, &flow{Device: "?"}, page{})
		return
	}
	fl, form, ok := a.returned(w, r)
	if !ok {
		return
	}
	address := middleware.Address(r)
	if wait := a.byAddress.Take(address); wait > 0 {
		a.after(w, &fault{after: wait})
		a.ask(w, r, http.StatusTooManyRequests, &flow{Device: "?"}, page{Message: "There were too many attempts. Try again later.", Alarm: true})
		return
	}
	d, ok := a.devices.waiting(readUserCode(form.Get("user_code")), a.c.Now())
	if fl.Device != "?" || !ok {
		a.ask(w, r, http.StatusOK, &flow{Device: "?"}, page{Message: "There is no program that waits with this code. It may have expired.", Alarm: true})
		return
	}
	a.byAddress.Return(address)
	a.ask(w, r, http.StatusOK, &flow{Device: d.userCode, Program: d.program}, page{From: d.address})
}

func stalePage() *fault {
	return &fault{status: http.StatusBadRequest, code: 90019, text: "This page is too old or was opened in another browser. Begin again."}
}

// returned reads the form of a page of ours. It answers and returns false if
// it is none: a form that another site made, an old one, or one of another
// browser.
func (a *Authority) returned(w http.ResponseWriter, r *http.Request) (*flow, url.Values, bool) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		a.failPage(w, r, &fault{status: http.StatusMethodNotAllowed, code: 900561, text: "This page takes POST."})
		return nil, nil, false
	}
	form, f := readForm(w, r)
	fl := new(flow)
	if f == nil {
		cookie, err := r.Cookie(cookieName(r))
		if err != nil || http.NewCrossOriginProtection().Check(r) != nil ||
			a.sealer.open("flow", form.Get("flow"), fl, a.c.Now()) != nil ||
			subtle.ConstantTimeCompare([]byte(fl.Browser), []byte(digest(cookie.Value))) != 1 {
			f = stalePage()
		}
	}
	if f != nil {
		a.failPage(w, r, f)
		return nil, nil, false
	}
	return fl, form, true
}

// browser returns the mark of the browser of r, which it gets as a cookie if
// it has none.
func (a *Authority) browser(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(cookieName(r)); err == nil && len(c.Value) >= 26 && len(c.Value) <= 64 {
		return digest(c.Value)
	}
	value := unguessable()
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: value, Path: "/", HttpOnly: true,
		Secure: secure(r), SameSite: http.SameSiteLaxMode})
	return digest(value)
}

func cookieName(r *http.Request) string {
	if secure(r) {
		return "__Host-openams-signin" // no other host or path can set it
	}
	return "openams-signin"
}

func secure(r *http.Request) bool { return strings.HasPrefix(middleware.Origin(r), "https:") }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// deliver sends the browser back to the program with an answer.
func (a *Authority) deliver(w http.ResponseWriter, r *http.Request, fl *flow, answer map[string]string) {
	answer = maps.Clone(answer)
	if fl.State != "" {
		answer["state"] = fl.State
	}
	if fl.Mode == "form_post" {
		a.show(w, http.StatusOK, &page{Title: "Continue", Message: "You are almost there.", Action: fl.Redirect, Carry: answer, formGoes: fl.Redirect})
		return
	}
	u, err := url.Parse(fl.Redirect)
	if err != nil {
		a.failPage(w, r, transient())
		return
	}
	values := url.Values{}
	if fl.Mode == "query" {
		values = u.Query()
	}
	for name, v := range answer {
		values.Set(name, v)
	}
	target := ""
	if fl.Mode == "fragment" {
		target = u.String() + "#" + values.Encode()
	} else {
		u.RawQuery = values.Encode()
		target = u.String()
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther) // a POST is not to be repeated there
}

func (a *Authority) failPage(w http.ResponseWriter, r *http.Request, f *fault) {
	a.after(w, f)
	text := f.describe()
	if id := middleware.RequestID(r.Context()); id != "" {
		text += " (Request " + id + ")"
	}
	a.show(w, f.status, &page{Title: "Sorry", Message: text, Alarm: true})
}

func (a *Authority) show(w http.ResponseWriter, status int, pg *page) {
	pg.Nonce = unguessable()
	var b bytes.Buffer
	if err := a.pages.Execute(&b, pg); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	// Browsers hold redirects after a form to form-action, too.
	goes := "'self'"
	if u, err := url.Parse(pg.formGoes); err == nil && u.Host != "" {
		goes += " " + u.Scheme + "://" + u.Host
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+pg.Nonce+"'; form-action "+goes+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	// A client that does not take it is gone.
	_, _ = w.Write(b.Bytes())
}
