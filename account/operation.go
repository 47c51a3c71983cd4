package account

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// The Kinds of long-running operations: the words of their URLs.
const (
	EndpointOperations = "streamingendpointoperations"
	TrackOperations    = "trackoperations"
	AccountOperations  = "mediaservicesoperations"
)

// keptOperations is how long a finished operation can be polled.
const keptOperations = 30 * 24 * time.Hour

// begin records a long-running operation on the resource at path, which is
// below the account ("/streamingendpoints/default"; empty: the account). While
// another one on it is pending it is a Conflict.
func (a *Account) begin(tx *catalog.Tx, kind, path, goal string) (*ams.Operation, error) {
	if err := alone(tx.Joined(), "What takes time"); err != nil {
		return nil, err
	}
	op := &ams.Operation{
		ID: uuid.NewString(), Account: a.ID, Kind: kind, Resource: a.resourceID(path), Goal: goal,
		Status: ams.OperationInProgress, Created: a.s.now(),
	}
	if err := a.idle(tx, path); err != nil {
		return nil, err
	}
	if err := tx.DeleteOperations(a.s.now().Add(-keptOperations)); err != nil {
		return nil, err
	}
	return op, tx.InsertOperation(op)
}

// idle is a Conflict while an operation on the resource is pending.
func (a *Account) idle(tx *catalog.Tx, path string) error {
	pending, err := tx.PendingOperations(a.resourceID(path))
	if err == nil && len(pending) > 0 {
		err = ams.Errorf(ams.Conflict, "Another operation on '%s' is in progress. Try again when it has ended.", path[strings.LastIndexByte(path, '/')+1:])
	}
	return err
}

// resourceID is the resource id of what is at path below the account: the key
// of its operations.
func (a *Account) resourceID(path string) string {
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Media/mediaservices/%s%s",
		a.SubscriptionID, a.ResourceGroup, a.Name, path)
}

// below is the resource of op as a path below the account.
func (a *Account) below(op *ams.Operation) string {
	return op.Resource[min(len(a.resourceID("")), len(op.Resource)):]
}

// endLater ends op after the answer to the request that began it. op stays as
// it is for that answer.
func (s *Server) endLater(ctx context.Context, op *ams.Operation) {
	ctx = context.WithoutCancel(ctx) // the operation outlives the request
	pending := *op
	s.operations.Go(func() {
		if err := s.end(ctx, &pending); err != nil {
			// It stays InProgress; Recover ends it at the next start.
			s.Log.ErrorContext(ctx, "operation", "operation", pending.ID, "resource", pending.Resource, "error", err)
		}
	})
}

// end lets the resource of op arrive at its goal and records that.
func (s *Server) end(ctx context.Context, op *ams.Operation) error {
	a, err := s.ByID(ctx, op.Account)
	if err != nil {
		_, err = gone(err) // deleted meanwhile, and the operation with it
		return err
	}
	var failed error
	if op.Kind == EndpointOperations {
		failed = a.follow(ctx, op)
	}
	err = s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if op, err = tx.Operation(op.Account, op.ID); err != nil || op.Status != ams.OperationInProgress {
			return err
		}
		op.Status, op.Ended = ams.OperationSucceeded, s.now()
		if failed != nil {
			op.Status, op.Code, op.Message = ams.OperationFailed, "InternalServerError", failed.Error()
		}
		switch op.Kind {
		case EndpointOperations:
			err = a.arrive(tx, op)
		case TrackOperations:
			err = a.endTrack(tx, op)
		}
		if _, err := gone(err); err != nil {
			return err
		}
		return tx.UpdateOperation(op)
	})
	_, err = gone(err)
	return err
}

// Operation finds a long-running operation of the account of the kind.
func (a *Account) Operation(ctx context.Context, kind, id string) (op *ams.Operation, err error) {
	id = normalID(id)
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		op, err = tx.Operation(a.ID, id)
		return err
	})
	if err == nil && op.Kind != kind {
		return nil, ams.Errorf(ams.NotFound, "The operation was not found.")
	}
	return op, err
}

// AccountOperation finds a long-running operation on an account itself, which
// its URL does not name.
func (s *Server) AccountOperation(ctx context.Context, subscription, id string) (op *ams.Operation, a *Account, err error) {
	id = normalID(id)
	a = &Account{s: s}
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if op, err = tx.OperationByID(id); err != nil {
			return err
		}
		found, err := tx.AccountByID(op.Account)
		if err != nil {
			return err
		}
		a.Account = *found
		if op.Kind != AccountOperations || !strings.EqualFold(found.SubscriptionID, subscription) {
			return ams.Errorf(ams.NotFound, "The operation was not found.")
		}
		return nil
	})
	return op, a, err
}

// Recover ends the operations that a kill left in progress. It is called once
// before requests are served.
func (s *Server) Recover(ctx context.Context) error {
	var pending []*ams.Operation
	err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		pending, err = tx.PendingOperations("")
		return err
	})
	if err != nil {
		return err
	}
	for _, op := range pending {
		if err := s.end(ctx, op); err != nil {
			return fmt.Errorf("operation %s: %w", op.ID, err)
		}
	}
	return nil
}
