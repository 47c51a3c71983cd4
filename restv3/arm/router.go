package arm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/openams/openams/identity"
	"github.com/openams/openams/middleware"
)

// A Handler answers a request or says why not, before it writes anything.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Media is the namespace of media services.
const Media = "Microsoft.Media"

// RouterConfig says what a Router needs besides its routes.
type RouterConfig struct {
	Log      *slog.Logger       // for failures of the server's own; nil: slog.Default()
	Fault    func(error) *Error // translates errors that are no *Error; nil, or a nil result: status 500
	Versions []string           // api-versions of Microsoft.Media; nil: Versions()
	Location string             // the region, as errors name it

	// Older are api-versions that one route takes besides Versions, by its
	// method, a blank and its pattern.
	Older map[string][]string
}

// A Router dispatches by method and path, segment by segment and without
// case. It looks at the path as it was sent: nothing is cleaned or redirected,
// and an escaped slash stays inside its name. Routes are added before it
// serves.
type Router struct {
	c     RouterConfig
	root  node
	facts *Facts // nil: every subscription and group exists
}

// node is a place in the tree of patterns.
type node struct {
	literal map[string]*node  // by segment, in lower case
	param   *node             // any other segment
	routes  map[string]*route // by method
}

type route struct {
	handler  Handler
	params   []string                 // names of the pattern's parameters, in order
	action   string                   // permission; empty: any caller may
	scoped   int                      // how many segments of the path name the action's scope
	or       func(*http.Request) bool // lets others in; may be nil
	typ      string                   // resource type, for errors
	versions []string                 // nil: any well-formed one
}

// NewRouter returns a Router without routes.
func NewRouter(c RouterConfig) *Router {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Versions == nil {
		c.Versions = Versions()
	}
	return &Router{c: c}
}

// Handle adds a route. In a pattern such as
// "/subscriptions/{subscriptionId}/providers/Microsoft.Media/mediaservices" a
// segment in braces takes any name, which r.PathValue returns as the caller
// wrote it. GET serves HEAD too, unless HEAD has a route. The permission that
// the route needs follows from method and pattern, as Azure names its actions.
// A second route for the same is a mistake of the program and panics.
func (rt *Router) Handle(method, pattern string, h Handler) { rt.HandleOr(method, pattern, h, nil) }

// HandleOr is Handle for a route that is also open to callers without its
// permission for whom or, unless nil, is true.
func (rt *Router) HandleOr(method, pattern string, h Handler, or func(*http.Request) bool) {
	segments := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	re := &route{handler: h, or: or}
	n := &rt.root
	for i, s := range segments {
		if name, ok := parameter(s); ok {
			re.params = append(re.params, name)
			re.scoped = i + 1
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			continue
		}
		word := strings.ToLower(s)
		if n.literal == nil {
			n.literal = make(map[string]*node)
		}
		if n.literal[word] == nil {
			n.literal[word] = &node{}
		}
		n = n.literal[word]
	}
	if n.routes == nil {
		n.routes = make(map[string]*route)
	}
	if n.routes[method] != nil {
		panic(fmt.Sprintf("arm: two routes for %s %s", method, pattern))
	}
	namespace, typ, action := actionOf(method, segments)
	re.action, re.typ = action, typ
	if strings.EqualFold(namespace, Media) {
		re.versions = slices.Concat(rt.c.Older[method+" "+pattern], rt.c.Versions)
	}
	n.routes[method] = re
}

func parameter(segment string) (name string, ok bool) {
	if len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}' {
		return segment[1 : len(segment)-1], true
	}
	return "", false
}

// actionOf names the permission of a route: what it is about, then read,
// write, delete or, for a POST, its last word and "action". What belongs to no
// subscription needs none.
func actionOf(method string, segments []string) (namespace, typ, action string) {
	namespace = "Microsoft.Resources"
	words := segments
	if i := slices.Index(segments, "providers"); i >= 0 && i+1 < len(segments) {
		if _, isParam := parameter(segments[i+1]); !isParam {
			namespace, words = segments[i+1], segments[i+2:]
		}
	}
	var types []string
	for _, w := range words {
		if _, isParam := parameter(w); !isParam {
			types = append(types, w)
		}
	}
	verb := "action"
	switch method {
	case http.MethodGet, http.MethodHead:
		verb = "read"
	case http.MethodPut, http.MethodPatch:
		verb = "write"
	case http.MethodDelete:
		verb = "delete"
	}
	action = strings.Join(append(append([]string{namespace}, types...), verb), "/")
	if verb == "action" && len(types) > 1 {
		types = types[:len(types)-1]
	}
	if len(segments) < 2 || !strings.EqualFold(segments[0], "subscriptions") {
		action = ""
	}
	return namespace, strings.Join(types, "/"), action
}

// Actions returns the permissions that routes of a namespace need, sorted.
func (rt *Router) Actions(namespace string) []string {
	var all []string
	var walk func(*node)
	walk = func(n *node) {
		for _, re := range n.routes {
			if len(re.action) > len(namespace) && strings.EqualFold(re.action[:len(namespace)+1], namespace+"/") {
				all = append(all, re.action)
			}
		}
		for _, c := range n.literal {
			walk(c)
		}
		if n.param != nil {
			walk(n.param)
		}
	}
	walk(&rt.root)
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return slices.CompactFunc(all, strings.EqualFold)
}

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := rt.serve(w, r); err != nil {
		rt.fail(w, r, err)
	}
}

func (rt *Router) serve(w http.ResponseWriter, r *http.Request) error {
	segments, err := split(r.URL)
	if err != nil {
		return err
	}
	var values []string
	n := rt.root.find(segments, &values)
	if n == nil {
		return noRoute(r, segments)
	}
	re := n.routes[r.Method]
	if re == nil && r.Method == http.MethodHead {
		re = n.routes[http.MethodGet]
	}
	if re == nil {
		return n.wrongMethod(r.Method)
	}
	for i, name := range re.params {
		r.SetPathValue(name, values[i])
	}
	if re.action != "" {
		if err := Authorize(r.Context(), re.action, scope(segments[:re.scoped])); err != nil && (re.or == nil || !re.or(r)) {
			return err
		}
	}
	if err := checkVersion(r, re.typ, rt.c.Location, re.versions); err != nil {
		return err
	}
	if rt.facts != nil {
		if err := rt.facts.check(r); err != nil {
			return err
		}
	}
	return re.handler(w, r)
}

// split returns the segments of a path, decoded. What a client puts together
// from "https://host/" and "/subscriptions" begins with two slashes.
func split(u *url.URL) ([]string, error) {
	path := strings.TrimSuffix(strings.TrimLeft(u.EscapedPath(), "/"), "/")
	segments := strings.SplitN(path, "/", maxSegments+1)
	if len(segments) > maxSegments {
		return nil, Errorf(http.StatusNotFound, "NotFound", "The path has more than %d segments.", maxSegments)
	}
	for i, s := range segments {
		name, err := url.PathUnescape(s)
		if err != nil {
			return nil, Errorf(http.StatusBadRequest, "BadRequest", "The path is not a valid URL path.")
		}
		segments[i] = name
	}
	return segments, nil
}

// scope spells what an action is about. A slash within a name must not look
// like a way into another scope.
func scope(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + strings.ReplaceAll(s, "/", "%2F"))
	}
	return b.String()
}

// find returns the node that segments lead to, and what they are called on the
// way. A literal is preferred to a name, but a name that looks like a literal
// still is one where the literal leads nowhere.
func (n *node) find(segments []string, values *[]string) *node {
	if len(segments) == 0 {
		if n.routes == nil {
			return nil
		}
		return n
	}
	if c := n.literal[strings.ToLower(segments[0])]; c != nil {
		if found := c.find(segments[1:], values); found != nil {
			return found
		}
	}
	if n.param == nil || segments[0] == "" {
		return nil
	}
	before := len(*values)
	*values = append(*values, segments[0])
	if found := n.param.find(segments[1:], values); found != nil {
		return found
	}
	*values = (*values)[:before]
	return nil
}

func (n *node) wrongMethod(method string) error {
	var allow []string
	for m := range n.routes {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	e := Errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "The requested resource does not support http method '%s'.", clip(method))
	e.Header = http.Header{"Allow": {strings.Join(allow, ", ")}}
	return e
}

func noRoute(r *http.Request, segments []string) error {
	for i, s := range segments {
		if strings.EqualFold(s, "providers") && i+2 < len(segments) {
			var types []string
			for j := i + 2; j < len(segments); j += 2 {
				types = append(types, segments[j])
			}
			return Errorf(http.StatusNotFound, "InvalidResourceType",
				"The resource type '%s' could not be found in the namespace '%s' for api version '%s'.",
				clip(strings.Join(types, "/")), clip(segments[i+1]), clip(Version(r)))
		}
	}
	return Errorf(http.StatusNotFound, "NotFound", "There is nothing at '%s'.", clip(r.URL.Path))
}

// Authorize refuses the caller of ctx an action, such as
// "Microsoft.Media/mediaservices/assets/write", on the resource at scope. The
// Router asks for each route; a handler asks for what its body is about.
func Authorize(ctx context.Context, action, scope string) error {
	p := identity.FromContext(ctx)
	if p == nil {
		return Errorf(http.StatusUnauthorized, "AuthenticationFailed", "Authentication failed.")
	}
	if p.May(action, scope) {
		return nil
	}
	return Errorf(http.StatusForbidden, "AuthorizationFailed",
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
		p.Who(), p.ID, action, clip(scope))
}

// fail answers err, and logs what is the server's own fault.
func (rt *Router) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok && rt.c.Fault != nil {
		e = rt.c.Fault(err)
	}
	if e == nil && r.Context().Err() != nil {
		// Nobody waits for the answer.
		panic(http.ErrAbortHandler)
	}
	if e == nil {
		e = internal(r)
	}
	if e.Status >= 500 && e.Status != http.StatusNotImplemented { // which is as it should be
		rt.c.Log.ErrorContext(r.Context(), "request failed", "request_id", middleware.RequestID(r.Context()),
			"method", r.Method, "url", middleware.RedactURL(r.URL), "code", e.Code, "error", err)
	}
	WriteError(w, e)
}

func internal(r *http.Request) *Error {
	return Errorf(http.StatusInternalServerError, "InternalServerError",
		"The server failed. The request id is %s.", middleware.RequestID(r.Context()))
}
