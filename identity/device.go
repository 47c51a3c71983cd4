package identity

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/openams/openams/middleware"
)

// devices are the sign-ins of programs without a browser that wait for their
// person (RFC 8628). They live in memory: a restart ends them, and the program
// asks anew.
type devices struct {
	mu     sync.Mutex
	bySelf map[string]*device // by device code
	byUser map[string]*device // by user code
}

// device is one such sign-in.
type device struct {
	code, userCode string
	program        string
	address        string // of the program
	want           want
	expires        time.Time
	state          deviceState
	person         string // object id, when approved
	stamp          string
}

type deviceState int

const (
	waiting deviceState = iota
	approved
	declined
)

// maxDevices bounds them, and maxPerAddress those of one client.
const (
	maxDevices    = 10_000
	maxPerAddress = 50
)

// add remembers d, unless there are too many.
func (ds *devices) add(d *device, now time.Time) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	same := 0
	for _, o := range ds.bySelf {
		if now.After(o.expires) {
			ds.remove(o)
		} else if o.address == d.address {
			same++
		}
	}
	if len(ds.bySelf) >= maxDevices || same >= maxPerAddress || ds.byUser[d.userCode] != nil {
		return false
	}
	if ds.bySelf == nil {
		ds.bySelf, ds.byUser = make(map[string]*device), make(map[string]*device)
	}
	ds.bySelf[d.code], ds.byUser[d.userCode] = d, d
	return true
}

func (ds *devices) remove(d *device) {
	delete(ds.bySelf, d.code)
	delete(ds.byUser, d.userCode)
}

// waiting returns the sign-in that a person typed the code of.
func (ds *devices) waiting(userCode string, now time.Time) (device, bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.byUser[userCode]
	if d == nil || now.After(d.expires) || d.state != waiting {
		return device{}, false
	}
	return *d, true
}

// decide ends the wait of a sign-in: p approves, nil declines.
func (ds *devices) decide(userCode string, p *Person, now time.Time) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.byUser[userCode]
	if d == nil || now.After(d.expires) || d.state != waiting {
		return false
	}
	if d.state = declined; p != nil {
		d.state, d.person, d.stamp = approved, p.ID, p.Stamp
	}
	return true
}

// poll returns the sign-in of a device code, and forgets it if it is over.
func (ds *devices) poll(code, program string, now time.Time) (device, bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.bySelf[code]
	if d == nil || d.program != program {
		return device{}, false
	}
	if d.state != waiting || now.After(d.expires) {
		ds.remove(d)
	}
	return *d, true
}

// newUserCode returns nine characters that people tell apart, and that spell
// no words: 39 bits, to be guessed within minutes by a few tries a minute.
func newUserCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ" // 20
	var b []byte
	for len(b) < 9 {
		var one [1]byte
		rand.Read(one[:]) // never fails (crypto/rand)
		if one[0] < 240 {
			b = append(b, letters[one[0]%20])
		}
	}
	return string(b)
}

// readUserCode takes a code as people type it.
func readUserCode(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c == ' ' {
			return -1
		}
		return c
	}, strings.ToUpper(clip(s)))
}

// devicePage is where a person types the code of a device.
const devicePage = "/devicelogin"

// device begins the sign-in of a program without a browser.
func (a *Authority) device(p place, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		a.onlyPost(w, r)
		return
	}
	form, f := readForm(w, r)
	if f == nil {
		f = a.checkTenant(p)
	}
	d := &device{code: unguessable(), userCode: newUserCode(), address: middleware.Address(r), expires: a.c.Now().Add(deviceLifetime)}
	if f == nil {
		d.program, f = a.program(r, form)
	}
	if f == nil {
		d.want, f = a.wanted(p, r, form, true)
	}
	if f == nil && !a.devices.add(d, a.c.Now()) {
		f = &fault{status: http.StatusTooManyRequests, oauth: "temporarily_unavailable", code: 50196, after: time.Minute,
			text: "Too many sign-ins wait for their user. Try again later."}
	}
	if f != nil {
		a.fail(w, r, f)
		return
	}
	page := middleware.Origin(r) + devicePage
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code": d.code, "user_code": d.userCode,
		"verification_uri": page, "verification_url": page, // v1's spelling
		"expires_in": int(deviceLifetime / time.Second), "interval": int(a.interval / time.Second),
		"message": fmt.Sprintf("To sign in, use a web browser to open the page %s and enter the code %s to authenticate.", page, d.userCode),
	})
}

// deviceCode is the grant of a program that began by device.
func (a *Authority) deviceCode(p place, r *http.Request, form url.Values) (*award, *fault) {
	program, f := a.program(r, form)
	if f != nil {
		return nil, f
	}
	code := form.Get("device_code")
	if code == "" {
		code = form.Get("code") // v1
	}
	if code == "" {
		return nil, missing("device_code")
	}
	bad := func(oauth string, code int, text string) (*award, *fault) {
		return nil, &fault{status: http.StatusBadRequest, oauth: oauth, code: code, text: text}
	}
	now := a.c.Now()
	d, ok := a.devices.poll(code, program, now)
	switch {
	case !ok:
		return bad("bad_verification_code", 70019, "The device code is not known, or was used before.")
	case now.After(d.expires):
		return bad("expired_token", 70020, "The provided value for the 'device_code' is not valid. This device code has expired.")
	case d.state == waiting:
		return bad("authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling.")
	case d.state == declined:
		return bad("authorization_declined", 70018, "The user declined to sign in.")
	}
	return a.redeem(p, r, url.Values{}, &ticket{Person: d.person, Stamp: d.stamp, Program: program, Want: d.want})
}
