CREATE CONSTRAINT dmcheck_user_name IF NOT EXISTS FOR (n:User) REQUIRE n.screen_name IS UNIQUE
CREATE CONSTRAINT dmcheck_client_id IF NOT EXISTS FOR (n:DMCheckClient) REQUIRE n.id IS UNIQUE
CREATE CONSTRAINT dmcheck_bucket_uuid IF NOT EXISTS FOR (n:DMCheckBucket) REQUIRE n.uuid IS UNIQUE
CREATE CONSTRAINT dmcheck_lease_id IF NOT EXISTS FOR (n:DMCheckLease) REQUIRE n.id IS UNIQUE
CREATE CONSTRAINT dmcheck_job_name IF NOT EXISTS FOR (n:DMCheckJob) REQUIRE n.name IS UNIQUE
CREATE CONSTRAINT dmcheck_bucket_line IF NOT EXISTS FOR (n:DMCheckSchema) REQUIRE n.name IS UNIQUE
CREATE INDEX dmcheck_line IF NOT EXISTS FOR (n:DMCheckBucket) ON (n.priority, n.place)
CREATE INDEX dmcheck_client_time IF NOT EXISTS FOR (n:DMCheckClient) ON (n.create_datetime)
CREATE INDEX dmcheck_lease_request IF NOT EXISTS FOR (n:DMCheckLease) ON (n.client, n.request)
CREATE INDEX dmcheck_lease_bucket IF NOT EXISTS FOR (n:DMCheckLease) ON (n.bucket)
CREATE INDEX dmcheck_lease_end IF NOT EXISTS FOR (n:DMCheckLease) ON (n.ended)
CREATE INDEX dmcheck_lease_unjudged IF NOT EXISTS FOR (n:DMCheckLease) ON (n.unjudged, n.client)
CREATE INDEX dmcheck_name IF NOT EXISTS FOR (n:DMCheckName) ON (n.dmcheck_name)
CREATE CONSTRAINT dmcheck_event_key IF NOT EXISTS FOR (n:DMCheckEvent) REQUIRE n.key IS UNIQUE
CREATE INDEX dmcheck_event_time IF NOT EXISTS FOR (n:DMCheckEvent) ON (n.at)
CREATE INDEX dmcheck_lease_begin IF NOT EXISTS FOR (n:DMCheckLease) ON (n.assigned_datetime)
CREATE INDEX dmcheck_lease_death IF NOT EXISTS FOR (n:DMCheckLease) ON (n.dead_datetime)
CREATE INDEX dmcheck_needs IF NOT EXISTS FOR (n:User) ON (n.dmcheck_needs, n.dmcheck_asked)
CREATE INDEX dmcheck_aside IF NOT EXISTS FOR (n:User) ON (n.dmcheck_aside)
