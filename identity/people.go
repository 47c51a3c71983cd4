package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"
)

// A Person is a principal of Kind User. Name is what they sign in with; AppID
// is empty until a program acts for them.
type Person struct {
	Principal
	DisplayName string `json:"displayName,omitempty"`
	Stamp       string `json:"-"` // changes with the password: what was issued before ends with it
}

// person is one as users.json has it.
type person struct {
	ID           string       `json:"id"` // object id
	Name         string       `json:"name"`
	DisplayName  string       `json:"displayName,omitempty"`
	Assignments  []Assignment `json:"assignments"`
	PasswordHash string       `json:"passwordBcrypt"`
}

const (
	// hashCost is bcrypt's: 2^11 rounds take about a tenth of a second.
	hashCost = 11
	// hashers bounds how many passwords are hashed at once, so that guessing
	// leaves processors to the rest of the server.
	hashers = 2
	// A password is 8 to 72 bytes: bcrypt reads no more.
	minPassword, maxPassword = 8, 72
)

// Person implements Directory.
func (f *Folder) Person(_ context.Context, id string) (*Person, error) {
	all, err := f.people.read()
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.ID == id {
			return f.person(&p), nil
		}
	}
	return nil, ErrNoPrincipal
}

// SignIn implements Directory.
func (f *Folder) SignIn(ctx context.Context, name, password string) (*Person, error) {
	all, err := f.people.read()
	if err != nil {
		return nil, err
	}
	// Nobody's hash takes as long as anybody's, so time does not tell who is
	// here. (It is of a random text.)
	hash, found := "$2a$11$z6LR/1wvDq2FEMJZsugr7eKK54kn.O4GDrRsQ9YOMLonwV3Yv.C6q", -1
	if i := slices.IndexFunc(all, func(p person) bool { return strings.EqualFold(p.Name, name) }); i >= 0 {
		hash, found = all[i].PasswordHash, i
	}
	if len(password) > maxPassword {
		password = "" // nobody's
	}
	select {
	case f.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	<-f.hashing
	switch {
	case err == nil && found >= 0:
		return f.person(&all[found]), nil
	case err == nil, errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return nil, ErrSecret
	}
	return nil, fmt.Errorf("identity: password of %q: %w", name, err)
}

// CreatePerson lets a person sign in.
func (f *Folder) CreatePerson(name, displayName, password string, assignments []Assignment) (*Person, error) {
	if err := errors.Join(checkName(name), checkAssignments(assignments)); err != nil {
		return nil, err
	}
	if len(displayName) > 256 {
		return nil, errors.New("identity: a display name has at most 256 bytes")
	}
	hash, err := f.hash(password)
	if err != nil {
		return nil, err
	}
	p := person{ID: uuid.NewString(), Name: name, DisplayName: displayName,
		Assignments: slices.Clone(assignments), PasswordHash: hash}
	err = f.people.update(func(all []person) ([]person, error) {
		if slices.ContainsFunc(all, func(o person) bool { return o.is(name) }) {
			return nil, fmt.Errorf("identity: there is a user %q already", name)
		}
		return append(slices.Clone(all), p), nil
	})
	if err != nil {
		return nil, err
	}
	return f.person(&p), nil
}

// SetPassword changes the password of a person, found by name or object id.
// Their refresh tokens end.
func (f *Folder) SetPassword(who, password string) error {
	hash, err := f.hash(password)
	if err != nil {
		return err
	}
	return f.people.update(func(all []person) ([]person, error) {
		i := slices.IndexFunc(all, func(p person) bool { return p.is(who) })
		if i < 0 {
			return nil, ErrNoPrincipal
		}
		all = slices.Clone(all)
		all[i].PasswordHash = hash
		return all, nil
	})
}

// DeletePerson takes a person, found by name or object id, away; all their
// tokens end.
func (f *Folder) DeletePerson(who string) error {
	return f.people.update(func(all []person) ([]person, error) {
		rest := slices.DeleteFunc(slices.Clone(all), func(p person) bool { return p.is(who) })
		if len(rest) == len(all) {
			return nil, ErrNoPrincipal
		}
		return rest, nil
	})
}

// People returns everybody in the order they were made.
func (f *Folder) People() ([]*Person, error) {
	list, err := f.people.read()
	var all []*Person
	for _, p := range list {
		all = append(all, f.person(&p))
	}
	return all, err
}

// is reports whether who is p's name or object id.
func (p *person) is(who string) bool { return strings.EqualFold(p.Name, who) || p.ID == who }

func (f *Folder) person(p *person) *Person {
	stamp := sha256.Sum256([]byte("stamp of " + p.PasswordHash))
	return &Person{
		Principal: Principal{ID: p.ID, TenantID: f.TenantID, Name: p.Name, Kind: User,
			Assignments: slices.Clone(p.Assignments)},
		DisplayName: p.DisplayName,
		Stamp:       base64.RawURLEncoding.EncodeToString(stamp[:12]),
	}
}

func (f *Folder) hash(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("identity: a password has %d to %d bytes", minPassword, maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), f.cost)
	return string(hash), err
}
