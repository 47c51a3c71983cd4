package account

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/netip"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// Endpoint finds a streaming endpoint.
func (a *Account) Endpoint(ctx context.Context, name string) (e *ams.StreamingEndpoint, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		e, err = tx.Endpoint(a.ID, name)
		return err
	})
	return e, err
}

// Endpoints lists one page of streaming endpoints; next is empty on the last.
func (a *Account) Endpoints(ctx context.Context, q catalog.Query) (es []*ams.StreamingEndpoint, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		es, next, err = tx.Endpoints(a.ID, q)
		return err
	})
	return es, next, err
}

// CreateEndpoint begins to make the streaming endpoint e.Name, which runs when
// the operation ends if start is true and else is Stopped. Of e the writable
// properties count. An endpoint that exists already gets them instead, except
// that its ScaleUnits must be the same.
func (a *Account) CreateEndpoint(ctx context.Context, e ams.StreamingEndpoint, start bool) (_ *ams.StreamingEndpoint, op *ams.Operation, created bool, err error) {
	return a.createEndpoint(ctx, e, start, true)
}

// NewEndpoint is CreateEndpoint of one that is not to run, and that must not
// exist.
func (a *Account) NewEndpoint(ctx context.Context, e ams.StreamingEndpoint) (*ams.StreamingEndpoint, *ams.Operation, error) {
	made, op, _, err := a.createEndpoint(ctx, e, false, false)
	return made, op, err
}

func (a *Account) createEndpoint(ctx context.Context, e ams.StreamingEndpoint, start, replace bool) (_ *ams.StreamingEndpoint, op *ams.Operation, created bool, err error) {
	if err := ams.ValidateEndpointName(e.Name); err != nil {
		return nil, nil, false, err
	}
	result := new(ams.StreamingEndpoint)
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.Endpoint(a.ID, e.Name)
		if err == nil && !replace {
			return ams.Errorf(ams.Exists, "A streaming endpoint named '%s' exists already.", old.Name)
		}
		if err == nil {
			result = old
			op, err = a.changeEndpoint(ctx, tx, old, func(to *ams.StreamingEndpoint) error {
				to.Location, to.Tags, to.Description, to.ScaleUnits, to.Settings = e.Location, e.Tags, e.Description, e.ScaleUnits, e.Settings
				return nil
			})
			return err
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		n, err := tx.CountEndpoints(a.ID)
		if err != nil {
			return err
		}
		if n >= a.s.Limits.Endpoints {
			return full("streaming endpoints in the account", a.s.Limits.Endpoints)
		}
		if err := a.checkEndpoint(&e); err != nil {
			return err
		}
		created = true
		now, by := a.s.now(), caller(ctx)
		e.Account, e.ID, e.HostName, e.State = a.ID, uuid.NewString(), a.s.hostName(a.Name, e.Name), ams.EndpointCreating
		e.Location = cmp.Or(e.Location, a.Location) // v2 names none
		e.Created, e.LastModified, e.CreatedBy, e.LastModifiedBy = now, now, by, by
		*result = e
		if err := tx.InsertEndpoint(&e); err != nil {
			return err
		}
		goal := ams.EndpointStopped
		if start {
			goal = ams.EndpointRunning
		}
		op, err = a.begin(tx, EndpointOperations, endpointPath(e.Name), string(goal))
		return err
	})
	if err != nil {
		return nil, nil, false, err
	}
	a.s.endLater(ctx, op)
	return result, op, created, nil
}

// UpdateEndpoint begins to change the writable properties of a streaming
// endpoint by change.
func (a *Account) UpdateEndpoint(ctx context.Context, name string, change func(*ams.StreamingEndpoint) error) (e *ams.StreamingEndpoint, op *ams.Operation, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if e, err = tx.Endpoint(a.ID, name); err != nil {
			return err
		}
		op, err = a.changeEndpoint(ctx, tx, e, change)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	a.s.endLater(ctx, op)
	return e, op, nil
}

func (a *Account) changeEndpoint(ctx context.Context, tx *catalog.Tx, e *ams.StreamingEndpoint, change func(*ams.StreamingEndpoint) error) (*ams.Operation, error) {
	was := *e
	e.Tags = maps.Clone(e.Tags)
	if err := change(e); err != nil {
		return nil, err
	}
	if e.Location == "" {
		e.Location = was.Location
	}
	if !samePlace(e.Location, was.Location) {
		return nil, ams.Errorf(ams.Conflict, "The streaming endpoint '%s' is in '%s': its location can't be changed to '%s'.", was.Name, was.Location, e.Location)
	}
	if e.ScaleUnits != was.ScaleUnits {
		return nil, ams.Invalidf("properties.scaleUnits", "scaleUnits is %d and changes by the scale operation only.", was.ScaleUnits)
	}
	if err := a.checkEndpoint(e); err != nil {
		return nil, err
	}
	e.Account, e.Name, e.ID, e.Location = was.Account, was.Name, was.ID, was.Location
	e.HostName, e.State, e.Created, e.CreatedBy = was.HostName, was.State, was.Created, was.CreatedBy
	e.LastModified, e.LastModifiedBy = a.s.now(), caller(ctx)
	op, err := a.begin(tx, EndpointOperations, endpointPath(e.Name), "")
	if err != nil {
		return nil, err
	}
	return op, tx.UpdateEndpoint(e)
}

// samePlace compares locations as Resource Manager does: "West US 2" is
// westus2.
func samePlace(a, b string) bool {
	squeeze := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	return strings.EqualFold(squeeze(a), squeeze(b))
}

// checkEndpoint reports the first rule that the writable properties of e break.
func (a *Account) checkEndpoint(e *ams.StreamingEndpoint) error {
	if err := a.checkScale(e.ScaleUnits, "properties.scaleUnits"); err != nil {
		return err
	}
	if err := validTags(e.Tags); err != nil {
		return err
	}
	if err := short("properties.description", e.Description, maxDescription); err != nil {
		return err
	}
	for _, h := range e.Settings.CustomHosts {
		if a.s.ownHost(h) {
			return ams.Invalidf("properties.customHostNames", "The host name '%s' belongs to the server.", h)
		}
	}
	return e.Settings.Validate()
}

func (a *Account) checkScale(units int, target string) error {
	if units < 0 || units > a.s.Limits.ScaleUnits {
		return ams.Invalidf(target, "A streaming endpoint may have from 0 to %d scale units.", a.s.Limits.ScaleUnits)
	}
	return nil
}

// validTags checks the tags of a tracked resource (documented by Resource
// Manager).
func validTags(tags map[string]string) error {
	if len(tags) > 50 {
		return ams.Invalidf("tags", "A resource may have at most 50 tags.")
	}
	for name, value := range tags {
		if name == "" || len(name) > 512 || len(value) > 256*4 {
			return ams.Invalidf("tags", "A tag has a name of 1 to 512 characters and a value of at most 256.")
		}
	}
	return nil
}

// DeleteEndpoint begins to delete a streaming endpoint, a running one too. The
// default one stays: Conflict. Without such an endpoint the operation is nil.
func (a *Account) DeleteEndpoint(ctx context.Context, name string) (op *ams.Operation, err error) {
	if strings.EqualFold(name, ams.DefaultEndpoint) {
		return nil, ams.Errorf(ams.Conflict, "The default streaming endpoint can't be deleted.")
	}
	op, err = a.moveEndpoint(ctx, name, func(*ams.StreamingEndpoint) (through, to ams.EndpointState) {
		return ams.EndpointDeleting, ams.OperationDeletes
	})
	_, err = gone(err)
	return op, err
}

// StartEndpoint begins to start a streaming endpoint. Starting one that runs
// succeeds and changes nothing. One operation at a time: while another is in
// progress it is a Conflict.
func (a *Account) StartEndpoint(ctx context.Context, name string) (*ams.Operation, error) {
	return a.moveEndpoint(ctx, name, func(e *ams.StreamingEndpoint) (through, to ams.EndpointState) {
		if e.State == ams.EndpointRunning {
			return e.State, e.State
		}
		return ams.EndpointStarting, ams.EndpointRunning
	})
}

// StopEndpoint begins to stop a streaming endpoint, by the rules of
// StartEndpoint.
func (a *Account) StopEndpoint(ctx context.Context, name string) (*ams.Operation, error) {
	return a.moveEndpoint(ctx, name, func(e *ams.StreamingEndpoint) (through, to ams.EndpointState) {
		if e.State == ams.EndpointStopped {
			return e.State, e.State
		}
		return ams.EndpointStopping, ams.EndpointStopped
	})
}

// ScaleEndpoint begins to change the scale units of a streaming endpoint,
// which serves meanwhile: they have no effect here.
func (a *Account) ScaleEndpoint(ctx context.Context, name string, units int) (*ams.Operation, error) {
	if err := a.checkScale(units, "scaleUnit"); err != nil {
		return nil, err
	}
	return a.moveEndpoint(ctx, name, func(e *ams.StreamingEndpoint) (through, to ams.EndpointState) {
		e.ScaleUnits = units
		return e.State, e.State
	})
}

// moveEndpoint begins an operation that leads an endpoint through one state to
// another.
func (a *Account) moveEndpoint(ctx context.Context, name string, move func(*ams.StreamingEndpoint) (through, to ams.EndpointState)) (op *ams.Operation, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Endpoint(a.ID, name)
		if err != nil {
			return err
		}
		if err := a.idle(tx, endpointPath(e.Name)); err != nil {
			return err
		}
		was := *e
		through, to := move(e)
		if op, err = a.begin(tx, EndpointOperations, endpointPath(e.Name), string(to)); err != nil {
			return err
		}
		if through == was.State && e.ScaleUnits == was.ScaleUnits {
			return nil
		}
		e.State, e.LastModified, e.LastModifiedBy = through, a.s.now(), caller(ctx)
		return tx.UpdateEndpoint(e)
	})
	if err != nil {
		return nil, err
	}
	a.s.endLater(ctx, op)
	return op, nil
}

func endpointPath(name string) string { return "/streamingendpoints/" + name }

// follow lets Follow know of an endpoint that is about to start or stop.
func (a *Account) follow(ctx context.Context, op *ams.Operation) error {
	if a.s.Follow == nil {
		return nil
	}
	e, err := a.Endpoint(ctx, path.Base(op.Resource))
	if err != nil {
		_, err = gone(err)
		return err
	}
	if e.State.Settled() {
		return nil
	}
	return a.s.Follow(ctx, e)
}

// arrive lets the endpoint of an operation be where the operation leads, or
// back where it was when op has failed.
func (a *Account) arrive(tx *catalog.Tx, op *ams.Operation) error {
	e, err := tx.Endpoint(a.ID, path.Base(op.Resource))
	if err != nil {
		return err
	}
	goal := ams.EndpointState(op.Goal)
	if op.Status == ams.OperationFailed {
		switch e.State {
		case ams.EndpointStopping, ams.EndpointDeleting:
			goal = ams.EndpointRunning
		default:
			goal = ams.EndpointStopped
		}
	}
	switch {
	case goal == ams.OperationDeletes:
		return tx.DeleteEndpoint(a.ID, e.Name)
	case goal == "" || goal == e.State:
		return nil
	}
	e.State = goal
	return tx.UpdateEndpoint(e)
}

// EndpointOf finds the streaming endpoint that a request to the host is for:
// the one that answers to that name, or for an unknown name, such as the
// address of the machine, the default endpoint of the first account.
func (s *Server) EndpointOf(ctx context.Context, host string) (e *ams.StreamingEndpoint, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if e, err = tx.EndpointByHost(host); ams.CodeOf(err) != ams.NotFound {
			return err
		}
		a, err := tx.Account(s.first)
		if err == nil {
			e, err = tx.Endpoint(a.ID, ams.DefaultEndpoint)
		}
		return err
	})
	return e, err
}

// hostName is the host[:port] that leads to an endpoint. Like those of AMS,
// {account}… and {endpoint}-{account}…, they are unique because no account has
// a hyphen in its name; the first account's default endpoint has the server's.
func (s *Server) hostName(account, endpoint string) string {
	label := account
	switch isDefault := strings.EqualFold(endpoint, ams.DefaultEndpoint); {
	case isDefault && account == s.first:
		return s.StreamingHost
	case !isDefault:
		label = strings.ToLower(endpoint) + "-" + account
	}
	return label + "." + s.StreamingDomain
}

// ownHost reports whether the host name is the server's or below it, where the
// names of endpoints are.
func (s *Server) ownHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, own := range []string{s.StreamingHost, s.StreamingDomain} {
		own = strings.ToLower(withoutPort(own))
		if host == own || strings.HasSuffix(host, "."+own) {
			return true
		}
	}
	return false
}

func withoutPort(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// domainOf is where endpoints get their names when the server's own is host:
// below it, or for an IP address, which has nothing below, below localhost.
func domainOf(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err != nil {
		return host
	}
	if port == "" {
		return "localhost"
	}
	return "localhost:" + port
}

// rehost lets all endpoints have their present host names: the host and the
// port are flags, so they may change between two starts.
func (s *Server) rehost(tx *catalog.Tx) error {
	accounts, _, err := tx.Accounts(catalog.Query{Whole: true})
	if err != nil {
		return err
	}
	for _, a := range accounts {
		endpoints, _, err := tx.Endpoints(a.ID, catalog.Query{Whole: true})
		if err != nil {
			return err
		}
		for _, e := range endpoints {
			host := s.hostName(a.Name, e.Name)
			if known, err := tx.EndpointByHost(host); err == nil && known.ID == e.ID && e.HostName == host {
				continue
			}
			e.HostName = host
			if err := tx.UpdateEndpoint(e); err != nil {
				return about(err, "", "The streaming endpoint '%s' of the account '%s' can't have its host name: %s", e.Name, a.Name, err)
			}
		}
	}
	return nil
}
