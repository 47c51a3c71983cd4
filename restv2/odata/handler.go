package odata

import (
	"context"
	"log/slog"
	"net/url"
)

// A Reader serves the entities of a set. All handlers of sets are Readers.
type Reader interface {
	// Get returns the entity with a key, or an error that is a 404.
	Get(ctx context.Context, key string) (Entity, error)
	Query(ctx context.Context, q *Query) (*Page, error)
}

// A Creator also makes entities, by POST.
type Creator interface {
	Create(ctx context.Context, in *Insert) (*Result, error)
}

// An Updater also changes them. MERGE, PATCH and PUT all come here, and none
// touches properties that it does not name: clients of AMS send PUT with one
// property. (Documented for ContentKeys.) change holds Update and Write
// properties alone.
type Updater interface {
	Update(ctx context.Context, key string, change Entity) (*Result, error)
}

// A Deleter also deletes them. options are the query of the request, such as
// keepcontainer.
type Deleter interface {
	Delete(ctx context.Context, key string, options url.Values) (*Result, error)
}

// A Navigator follows the navigation of a set that have no Via. A missing
// entity is an error that is a 404; q is about the set that the navigation
// leads to. One that leads to a single entity returns a Page of one or none.
type Navigator interface {
	Related(ctx context.Context, key, navigation string, q *Query) (*Page, error)
}

// A Linker also writes links. For a navigation to a single entity Link
// replaces.
type Linker interface {
	Link(ctx context.Context, key, navigation string, to Ref) error
	Unlink(ctx context.Context, key, navigation string, to Ref) error
}

// A Call serves a function or action. key is that of the entity it is called
// on, or empty; args has what the client gave, by the Model's spelling.
type Call func(ctx context.Context, key string, args Entity) (*Result, error)

// A Result is what a handler has to say; nil: nothing.
type Result struct {
	Entity Entity // that was made; with its Key at least, also if Operation is set
	Value  any    // that a function returns

	// Operation is the id of the Operations entity that tells how it goes
	// with what takes time: the answer is 202 then. Empty: all is done.
	Operation string
}

// An Insert is an entity to be made.
type Insert struct {
	Set    *EntitySet
	Values Entity // Create and Write properties given, and defaults
	Bind   map[string][]Ref
	Inline map[string][]*Insert // Deep navigation

	// Parent and Navigation are set for POST Parent/Navigation.
	Parent     *Ref
	Navigation string
}

// A Config says what a Server serves, and how.
type Config struct {
	Model *Model

	// Sets are the handlers by entity set, Calls those of functions by
	// Function.ID. What is not in here is not served.
	Sets  map[string]Reader
	Calls map[string]Call

	// Allow refuses the caller of ctx what it may not do; nil: all may do all.
	// method is GET, POST, MERGE or DELETE, what an entity set or the ID of a
	// function, whose method is POST here if it changes something (returns
	// nothing) and else as declared.
	Allow func(ctx context.Context, method, what string) error

	// Transaction runs the operations of a changeset so that all or none
	// happen; the context it passes on goes to the handlers. Nil: changesets
	// that need it are refused. (One entity with its parts is one operation.)
	Transaction func(ctx context.Context, do func(context.Context) error) error

	Fault func(error) *Error // translates errors that are no *Error; nil, or a nil result: status 500
	Path  string             // of the service root, such as "/api/"
	Log   *slog.Logger       // nil: slog.Default()
}
