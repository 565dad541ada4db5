-- The operator now makes the changes that waited during the pause.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/paused"] = nil
return obj
